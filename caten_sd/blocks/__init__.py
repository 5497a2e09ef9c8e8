"""Quantised blocks: what a block type is, and the bit work that its families share."""

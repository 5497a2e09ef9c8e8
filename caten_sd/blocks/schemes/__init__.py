"""Packing schemes: one file for each way in which a tool packs weights with their scales."""

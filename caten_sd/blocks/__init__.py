"""Quantized blocks: block types, the families of them, and the bit operations they share."""

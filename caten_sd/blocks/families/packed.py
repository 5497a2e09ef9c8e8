"""Types that are only copied packed from file to file; gguf-py cannot unpack them either."""

from __future__ import annotations

from caten_sd.blocks.block_types import BlockType


class Q8_1(BlockType):
    """An intermediate of ggml's dot products: 32 values with a scale and their sum."""

    name, elements, size, gguf = "q8_1", 32, 40, 9


class Q8_K(BlockType):
    """An intermediate of ggml's dot products: 256 values with a scale and 16 sums."""

    name, elements, size, gguf = "q8_k", 256, 292, 15

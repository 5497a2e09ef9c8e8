"""Q1_0: blocks of 128 values that are a scale or its opposite, one bit each.

Format: block_q1_0 in ggml's ggml-common.h. gguf-py cannot unpack it; the tests state the formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.lanes import field, halves, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Q1_0(BlockType):
    """A 16-bit scale, then 128 bits, the lowest of each byte first: 1 is plus and 0 is minus."""

    name, elements, size, gguf = "q1_0", 128, 18, 41


@dequantize.register(Q1_0)
@in_blocks
def _q1_0(blocks: Array, out: Array, /) -> None:
    import numpy as np

    lanes = np.unpackbits(field(blocks, 2, 16), axis=1, bitorder="little").view("i1")
    lanes += lanes
    lanes -= 1
    scale(out, lanes, halves(blocks, 0))

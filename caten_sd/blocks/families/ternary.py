"""TQ1_0 and TQ2_0: blocks of 256 values that are -1, 0 or 1, times one scale.

Format: block_tq1_0 and block_tq2_0 in ggml's ggml-common.h. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.lanes import bits, field, halves, interleave, place, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class TQ1_0(BlockType):
    """Five values in a byte (four in the last four) as the digits of a base-3 fraction."""

    name, elements, size, gguf = "tq1_0", 256, 54, 34
    halves = (52,)


class TQ2_0(BlockType):
    """Four 2-bit values in a byte."""

    name, elements, size, gguf = "tq2_0", 256, 66, 35
    halves = (64,)


# Bytes 0-31 hold values 0-159, bytes 32-47 values 160-239, bytes 48-51 values 240-255.
_TQ1_RUNS = ((0, 32, 0, 5), (32, 16, 160, 5), (48, 4, 240, 4))


@dequantize.register(TQ1_0)
@in_blocks
def _tq1_0(blocks: Array, out: Array, /) -> None:
    import numpy as np

    lanes = np.empty((len(blocks), 256), np.uint8)
    for at, width, first, digits in _TQ1_RUNS:
        packed = field(blocks, at, width)
        for digit in range(digits):
            place(lanes, first + digit * width, packed * np.uint8(3**digit))
    # A digit is byte * 3 // 256, so 1 from 86 and 2 from 171; its value is one less.
    scale(out, (lanes > 170).view("i1") - (lanes < 86).view("i1"), halves(blocks, 52))


@dequantize.register(TQ2_0)
@in_blocks
def _tq2_0(blocks: Array, out: Array, /) -> None:
    rows = field(blocks, 0, 64).reshape(-1, 32)
    lanes = interleave([bits(rows, shift, 2) for shift in (0, 2, 4, 6)])
    scale(out, lanes.view("i1") - 1, halves(blocks, 64))

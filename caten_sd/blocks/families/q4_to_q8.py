"""Q4_0 to Q8_0: blocks of 32 values with a 16-bit scale, and for the _1 types a 16-bit minimum.

Format: block_q4_0 and the like in ggml's ggml-common.h. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.lanes import bits, either, field, halves, interleave, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Q4_0(BlockType):
    """4-bit values from -8 to 7, times a scale."""

    name, elements, size, gguf = "q4_0", 32, 18, 2
    halves = (0,)

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize so that the value farthest from zero becomes exactly -8."""
        lanes = _around_zero(values, blocks, 8)
        blocks[:, 2:] = lanes[:, :16] | lanes[:, 16:] << 4


class Q4_1(BlockType):
    """4-bit values, times a scale, plus a minimum."""

    name, elements, size, gguf = "q4_1", 32, 20, 3
    halves = (0, 2)

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize between the smallest and the largest value of the block."""
        lanes = _above_minimum(values, blocks, 15)
        blocks[:, 4:] = lanes[:, :16] | lanes[:, 16:] << 4


class Q5_0(BlockType):
    """5-bit values from -16 to 15, times a scale; the fifth bits are stored separately."""

    name, elements, size, gguf = "q5_0", 32, 22, 6

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize so that the value farthest from zero becomes exactly -16."""
        _pack_five(_around_zero(values, blocks, 16), blocks[:, 2:])


class Q5_1(BlockType):
    """5-bit values, times a scale, plus a minimum; the fifth bits are stored separately."""

    name, elements, size, gguf = "q5_1", 32, 24, 7

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize between the smallest and the largest value of the block."""
        _pack_five(_above_minimum(values, blocks, 31), blocks[:, 4:])


class Q8_0(BlockType):
    """8-bit values from -127 to 127, times a scale."""

    name, elements, size, gguf = "q8_0", 32, 34, 8
    halves = (0,)

    def pack(self, values: Array, blocks: Array, /) -> None:
        """Quantize, rounding halves away from zero as ggml does."""
        steps = abs(values).max(axis=1, keepdims=True) / 127
        _put_half(blocks, 0, steps)
        blocks[:, 2:] = _rounded(values * _inverse(steps)).astype("i1").view("u1")


def _inverse(steps: Array) -> Array:
    import numpy as np

    return np.where(steps == 0, np.float32(0), 1 / steps)


def _rounded(lanes: Array) -> Array:
    """Return the values rounded as by C's roundf: halves away from zero, not to even."""
    import numpy as np

    size = abs(lanes)
    floor = np.floor(size)
    floor += np.floor(2 * (size - floor))
    rounded: Array = np.copysign(floor, lanes)
    return rounded


def _put_half(blocks: Array, at: int, values: Array) -> None:
    blocks[:, at : at + 2] = values.astype("<f2").view("u1")


def _around_zero(values: Array, blocks: Array, half: int) -> Array:
    """Write the scale that maps the farthest value to -half; return values as unsigned steps."""
    import numpy as np

    farthest = np.take_along_axis(values, abs(values).argmax(axis=1, keepdims=True), axis=1)
    steps = farthest / -half
    _put_half(blocks, 0, steps)
    return _steps(values * _inverse(steps), half + 0.5, 2 * half - 1)


def _above_minimum(values: Array, blocks: Array, top: int) -> Array:
    """Write the scale and the minimum; return values as unsigned steps above it."""
    least = values.min(axis=1, keepdims=True)
    steps = (values.max(axis=1, keepdims=True) - least) / top
    _put_half(blocks, 0, steps)
    _put_half(blocks, 2, least)
    return _steps((values - least) * _inverse(steps), 0.5, top)


def _steps(lanes: Array, shift: float, top: int) -> Array:
    import numpy as np

    lanes += np.float32(shift)
    return np.trunc(lanes, out=lanes).astype(np.uint8).clip(0, top)


def _pack_five(lanes: Array, blocks: Array) -> None:
    import numpy as np

    blocks[:, :4] = np.packbits(lanes >> 4, axis=1, bitorder="little")
    blocks[:, 4:] = lanes[:, :16] & 15 | lanes[:, 16:] << 4


def _nibbles(blocks: Array, at: int) -> Array:
    """Return the nibbles of 16 bytes as uint8 (n, 32): the low ones, then the high ones."""
    packed = field(blocks, at, 16)
    return interleave([bits(packed, 0, 4), bits(packed, 4, 4)])


def _five_bits(blocks: Array, at: int) -> Array:
    import numpy as np

    fifth = np.unpackbits(field(blocks, at, 4), bitorder="little").reshape(-1, 32)
    return either(_nibbles(blocks, at + 4), bits(fifth, 0, 1, 4))


@dequantize.register(Q4_0)
@in_blocks
def _q4_0(blocks: Array, out: Array, /) -> None:
    scale(out, _nibbles(blocks, 2).view("i1") - 8, halves(blocks, 0))


@dequantize.register(Q4_1)
@in_blocks
def _q4_1(blocks: Array, out: Array, /) -> None:
    scale(out, _nibbles(blocks, 4), halves(blocks, 0), halves(blocks, 2))


@dequantize.register(Q5_0)
@in_blocks
def _q5_0(blocks: Array, out: Array, /) -> None:
    scale(out, _five_bits(blocks, 2).view("i1") - 16, halves(blocks, 0))


@dequantize.register(Q5_1)
@in_blocks
def _q5_1(blocks: Array, out: Array, /) -> None:
    scale(out, _five_bits(blocks, 4), halves(blocks, 0), halves(blocks, 2))


@dequantize.register(Q8_0)
@in_blocks
def _q8_0(blocks: Array, out: Array, /) -> None:
    scale(out, field(blocks, 2, 32).view("i1"), halves(blocks, 0))

"""Q2_K to Q6_K: blocks of 256 values in groups of 16 or 32, each with a small scale of its own.

Format: block_q2_K and its siblings in ggml's ggml-common.h. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.block_types import BlockType, in_blocks
from caten_sd.lanes import bits, field, halves, interleave, scale
from caten_sd.tensor import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Q2_K(BlockType):
    """Two bits a value; 16 groups of 16 with a 4-bit scale and a 4-bit minimum."""

    name, elements, size, gguf = "q2_k", 256, 84, 10
    halves = (80, 82)


class Q3_K(BlockType):
    """Three bits a value, from -4 to 3, the third apart; 16 groups of 16 with a 6-bit scale."""

    name, elements, size, gguf = "q3_k", 256, 110, 11
    halves = (108,)


class Q4_K(BlockType):
    """Four bits a value; 8 groups of 32 with a 6-bit scale and a 6-bit minimum."""

    name, elements, size, gguf = "q4_k", 256, 144, 12
    halves = (0, 2)


class Q5_K(BlockType):
    """Five bits a value, the fifth apart; 8 groups of 32 with a 6-bit scale and a 6-bit minimum."""

    name, elements, size, gguf = "q5_k", 256, 176, 13
    halves = (0, 2)


class Q6_K(BlockType):
    """Six bits a value, from -32 to 31, two apart; 16 groups of 16 with an 8-bit scale."""

    name, elements, size, gguf = "q6_k", 256, 210, 14
    halves = (208,)


def _crumbs(packed: Array) -> Array:
    """Return the four 2-bit fields of every byte, 32 bytes' lowest ones first: (rows, 128)."""
    rows = packed.reshape(-1, 32)
    return interleave([bits(rows, shift, 2) for shift in (0, 2, 4, 6)])


def _single_bits(packed: Array) -> Array:
    """Return the eight bits of every byte, 32 bytes' lowest ones first: (rows, 256)."""
    rows = packed.reshape(-1, 32)
    return interleave([bits(rows, shift, 1) for shift in range(8)])


def _with_high(low: Array, high: Array, shift: int) -> Array:
    """Return the lanes of ``low`` with those of ``high`` above bit ``shift``."""
    words = low.reshape(-1).view("<u8")
    words |= high.reshape(-1).view("<u8") << shift
    return low


def _nibble_rows(packed: Array, width: int) -> Array:
    """Return ``width`` bytes' low nibbles, their high ones, and so on: (rows, 2 * width)."""
    rows = packed.reshape(-1, width)
    return interleave([bits(rows, 0, 4), bits(rows, 4, 4)])


def _scales_and_minima(blocks: Array) -> tuple[Array, Array]:
    """Return a block's 8 scales and 8 negated minima, of 6 bits each in the 12 bytes from 4."""
    import numpy as np

    first, second, rest = field(blocks, 4, 12).view("<u4").T
    steps = [first & 0x3F3F3F3F, rest & 0x0F0F0F0F | (first >> 2 & 0x30303030)]
    minima = [second & 0x3F3F3F3F, rest >> 4 & 0x0F0F0F0F | (second >> 2 & 0x30303030)]
    return _times(halves(blocks, 0), np.stack(steps, axis=1)), _times(
        -halves(blocks, 2), np.stack(minima, axis=1)
    )


def _times(halves: Array, words: Array) -> Array:
    """Return the bytes of words, each times its block's 16-bit float."""
    lanes = words.view("u1").astype("f4")
    lanes *= halves
    return lanes


def _six_bit_scales(blocks: Array) -> Array:
    """Return 16 scales from -32 to 31: 8 bytes hold their low four bits, 4 bytes their high two."""
    import numpy as np

    high = field(blocks, 104, 4)
    crumbs = np.concatenate([high >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
    steps = _nibble_rows(field(blocks, 96, 8), 8) | crumbs << 4
    signed: Array = (steps.view("i1") - 32).astype("f4")
    return signed


@dequantize.register(Q2_K)
@in_blocks
def _q2_k(blocks: Array, out: Array, /) -> None:
    packed = field(blocks, 0, 16)
    scales = halves(blocks, 80) * (packed & 15).astype("f4")
    minima = halves(blocks, 82) * (packed >> 4).astype("f4")
    scale(out, _crumbs(field(blocks, 16, 64)), scales, -minima)


@dequantize.register(Q3_K)
@in_blocks
def _q3_k(blocks: Array, out: Array, /) -> None:
    lanes = _with_high(_crumbs(field(blocks, 32, 64)), _single_bits(field(blocks, 0, 32)), 2)
    scale(out, lanes.view("i1") - 4, halves(blocks, 108) * _six_bit_scales(blocks))


@dequantize.register(Q4_K)
@in_blocks
def _q4_k(blocks: Array, out: Array, /) -> None:
    scale(out, _nibble_rows(field(blocks, 16, 128), 32), *_scales_and_minima(blocks))


@dequantize.register(Q5_K)
@in_blocks
def _q5_k(blocks: Array, out: Array, /) -> None:
    low = _nibble_rows(field(blocks, 48, 128), 32)
    lanes = _with_high(low, _single_bits(field(blocks, 16, 32)), 4)
    scale(out, lanes, *_scales_and_minima(blocks))


@dequantize.register(Q6_K)
@in_blocks
def _q6_k(blocks: Array, out: Array, /) -> None:
    low = _nibble_rows(field(blocks, 0, 128), 64)
    lanes = _with_high(low, _crumbs(field(blocks, 128, 64)), 4)
    scales = halves(blocks, 208) * field(blocks, 192, 16).view("i1").astype("f4")
    scale(out, lanes.view("i1") - 32, scales)

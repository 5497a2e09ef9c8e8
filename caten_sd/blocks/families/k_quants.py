"""Q2_K to Q6_K: blocks of 256 values in groups of 16 or 32, each with a small scale.

Format: block_q2_K and the like in ggml's ggml-common.h. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.lanes import bits, either, field, halves, interleave, products, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Q2_K(BlockType):
    """2-bit values; 16 groups of 16, with a 4-bit scale and a 4-bit minimum."""

    name, elements, size, gguf = "q2_k", 256, 84, 10
    halves = (80, 82)


class Q3_K(BlockType):
    """3-bit values from -4 to 3, the third bit stored separately; 16 groups with a 6-bit scale."""

    name, elements, size, gguf = "q3_k", 256, 110, 11
    halves = (108,)


class Q4_K(BlockType):
    """4-bit values; 8 groups of 32, with a 6-bit scale and a 6-bit minimum."""

    name, elements, size, gguf = "q4_k", 256, 144, 12
    halves = (0, 2)


class Q5_K(BlockType):
    """5-bit values, the fifth bit stored separately; 8 groups with 6-bit scale and minimum."""

    name, elements, size, gguf = "q5_k", 256, 176, 13
    halves = (0, 2)


class Q6_K(BlockType):
    """6-bit values from -32 to 31, two bits stored separately; 16 groups with an 8-bit scale."""

    name, elements, size, gguf = "q6_k", 256, 210, 14
    halves = (208,)


def _rows(packed: Array) -> Array:
    return packed.reshape(-1, 32)


def _scales_and_minima(blocks: Array) -> Array:
    """Return the 8 scales and the 8 negated minima of every block: float32 (2, n, 8).

    They are the block's two 16-bit floats times 6-bit numbers, in the 12 bytes from byte 4.
    """
    import numpy as np

    first, second, rest = field(blocks, 4, 12).view("<u4").T
    words = np.empty((2, len(blocks), 2), "<u4")
    words[0, :, 0] = first & 0x3F3F3F3F
    words[0, :, 1] = rest & 0x0F0F0F0F | first >> 2 & 0x30303030
    words[1, :, 0] = second & 0x3F3F3F3F
    words[1, :, 1] = rest >> 4 & 0x0F0F0F0F | second >> 2 & 0x30303030
    floats = np.stack([halves(blocks, 0), -halves(blocks, 2)])
    return products(floats, words.view("u1"))


def _six_bit_scales(blocks: Array) -> Array:
    """Return 16 scales from -32 to 31: 8 bytes hold their low four bits, 4 bytes their high two."""
    import numpy as np

    high = field(blocks, 104, 4)
    crumbs = np.concatenate([high >> shift & 3 for shift in (0, 2, 4, 6)], axis=1)
    low = field(blocks, 96, 8)
    steps = interleave([bits(low, 0, 4), bits(low, 4, 4)]) | crumbs << 4
    signed: Array = steps.view("i1") - 32
    return signed


@dequantize.register(Q2_K)
@in_blocks
def _q2_k(blocks: Array, out: Array, /) -> None:
    packed = field(blocks, 0, 16)
    scales = products(halves(blocks, 80), packed & 15)
    minima = products(-halves(blocks, 82), packed >> 4)
    low = _rows(field(blocks, 16, 64))
    scale(out, interleave([bits(low, at, 2) for at in (0, 2, 4, 6)]), scales, minima)


@dequantize.register(Q3_K)
@in_blocks
def _q3_k(blocks: Array, out: Array, /) -> None:
    low, third = _rows(field(blocks, 32, 64)), field(blocks, 0, 32)
    high = _rows(interleave([third, bits(third, 4, 4)]))
    lanes = [either(bits(low, 2 * at, 2), bits(high, at, 1, 2)) for at in range(4)]
    scales = products(halves(blocks, 108), _six_bit_scales(blocks))
    scale(out, interleave(lanes).view("i1") - 4, scales)


@dequantize.register(Q4_K)
@in_blocks
def _q4_k(blocks: Array, out: Array, /) -> None:
    low = _rows(field(blocks, 16, 128))
    lanes = interleave([bits(low, 0, 4), bits(low, 4, 4)])
    scale(out, lanes, *_scales_and_minima(blocks))


@dequantize.register(Q5_K)
@in_blocks
def _q5_k(blocks: Array, out: Array, /) -> None:
    low, fifth = _rows(field(blocks, 48, 128)), field(blocks, 16, 32)
    high = _rows(interleave([bits(fifth, at, 2) for at in (0, 2, 4, 6)]))
    lanes = [either(bits(low, 4 * at, 4), bits(high, at, 1, 4)) for at in range(2)]
    scale(out, interleave(lanes), *_scales_and_minima(blocks))


@dequantize.register(Q6_K)
@in_blocks
def _q6_k(blocks: Array, out: Array, /) -> None:
    low, high = field(blocks, 0, 128).reshape(-1, 64), _rows(field(blocks, 128, 64))
    even, odd = field(low, 0, 32), field(low, 32, 32)
    lanes = [
        either(bits(even, 0, 4), bits(high, 0, 2, 4)),
        either(bits(odd, 0, 4), bits(high, 2, 2, 4)),
        either(bits(even, 4, 4), bits(high, 4, 2, 4)),
        either(bits(odd, 4, 4), bits(high, 6, 2, 4)),
    ]
    scales = products(halves(blocks, 208), field(blocks, 192, 16).view("i1"))
    scale(out, interleave(lanes).view("i1") - 32, scales)

"""IQ1 to IQ4: groups of values from a grid, with signs, and a scale for every few groups.

Format: block_iq2_xxs and the like in ggml's ggml-common.h. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.grids import grid
from caten_sd.blocks.lanes import field, halves, lookup, nibbles, products, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_IQ2_VALUES = (8, 25, 43)
_IQ3_XXS_VALUES = (4, 12, 20, 28, 36, 44, 52, 62)
_IQ3_S_VALUES = (1, 3, 5, 7, 9, 11, 13, 15)
_IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


class IQ2_XXS(BlockType):
    """Groups of 8 from a grid of 256, each with 7 sign bits; a 4-bit scale for 32 values."""

    name, elements, size, gguf = "iq2_xxs", 256, 66, 16


class IQ2_XS(BlockType):
    """Groups of 8 from a grid of 512, each with 7 sign bits; a 4-bit scale for 16 values."""

    name, elements, size, gguf = "iq2_xs", 256, 74, 17


class IQ3_XXS(BlockType):
    """Groups of 4 from a grid of 256; 7 sign bits for 8 values, a 4-bit scale for 32."""

    name, elements, size, gguf = "iq3_xxs", 256, 98, 18


class IQ1_S(BlockType):
    """Groups of 8 from a grid of 2048, each plus or minus 1/8; a 3-bit scale for 32 values."""

    name, elements, size, gguf = "iq1_s", 256, 50, 19


class IQ4_NL(BlockType):
    """32 values out of 16 unevenly spaced ones, with one scale."""

    name, elements, size, gguf = "iq4_nl", 32, 18, 20
    halves = (0,)


class IQ3_S(BlockType):
    """Groups of 4 from a grid of 512; a sign bit for each value, a 4-bit scale for 32."""

    name, elements, size, gguf = "iq3_s", 256, 110, 21


class IQ2_S(BlockType):
    """Groups of 8 from a grid of 1024; a sign bit for each value, a 4-bit scale for 16."""

    name, elements, size, gguf = "iq2_s", 256, 82, 22


class IQ4_XS(BlockType):
    """256 values out of 16 unevenly spaced ones, with a 6-bit scale for every 32."""

    name, elements, size, gguf = "iq4_xs", 256, 136, 23


class IQ1_M(BlockType):
    """Groups of 8 from a grid of 2048, each plus or minus 1/8; a 3-bit scale for 16 values."""

    name, elements, size, gguf = "iq1_m", 256, 56, 29


@functools.cache
def _groups(name: str, meanings: tuple[int, ...]) -> Array:
    """Return the grid with each group of int8 as one word."""
    groups = grid(name, meanings)
    return groups.view(f"<u{groups.shape[1]}").reshape(-1)


@functools.cache
def _signs(width: int) -> Array:
    """Return, for every ``width`` sign bits, 8 bytes of 0 or 255 as one word.

    If ``width`` is 7, the eighth sign makes the number of negative values even.
    """
    import numpy as np

    bits = np.unpackbits(np.arange(1 << width, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    if width == 7:
        bits[:, 7] = bits.sum(axis=1) & 1
    return (bits * np.uint8(255)).view("<u8").reshape(-1)


def _signed(groups: Array, signs: Array) -> Array:
    """Return the int8 values of groups, negated where the sign byte is 255."""
    words = groups.view("<u8").reshape(-1)
    signs = signs.reshape(-1)
    words ^= signs
    lanes = words.view("i1")
    lanes -= signs.view("i1")
    return lanes


def _alternating_nibbles(packed: Array) -> Array:
    """Return each byte's low nibble, then its high one, as float32."""
    import numpy as np

    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(packed), -1).astype("f4")


def _seven_bit_signs(words: Array) -> Array:
    """Return the sign words for the four groups of seven bits in each 32-bit word."""
    import numpy as np

    return lookup(_signs(7), words[..., None] >> np.array([0, 7, 14, 21], "u4") & 127)


@dequantize.register(IQ2_XXS)
@in_blocks
def _iq2_xxs(blocks: Array, out: Array, /) -> None:
    pairs = field(blocks, 2, 64).view("<u4").reshape(len(blocks), 8, 2)
    words = pairs[..., 1]
    groups = lookup(_groups("iq2_xxs", _IQ2_VALUES), pairs[..., 0].copy().view("u1"))
    scales = halves(blocks, 0) * ((words >> 28).astype("f4") + 0.5) * 0.25
    scale(out, _signed(groups, _seven_bit_signs(words)), scales)


@dequantize.register(IQ2_XS)
@in_blocks
def _iq2_xs(blocks: Array, out: Array, /) -> None:
    index = field(blocks, 2, 64).view("<u2")
    groups = lookup(_groups("iq2_xs", _IQ2_VALUES), index & 511)
    scales = halves(blocks, 0) * (_alternating_nibbles(field(blocks, 66, 8)) + 0.5) * 0.25
    scale(out, _signed(groups, lookup(_signs(7), index >> 9)), scales)


@dequantize.register(IQ2_S)
@in_blocks
def _iq2_s(blocks: Array, out: Array, /) -> None:
    import numpy as np

    high = field(blocks, 66, 8)[..., None] >> np.array([0, 2, 4, 6], "u1") & 3
    index = field(blocks, 2, 32) | high.reshape(-1, 32).astype("u2") << 8
    groups = lookup(_groups("iq2_s", _IQ2_VALUES), index)
    scales = halves(blocks, 0) * (_alternating_nibbles(field(blocks, 74, 8)) + 0.5) * 0.25
    scale(out, _signed(groups, lookup(_signs(8), field(blocks, 34, 32))), scales)


@dequantize.register(IQ3_XXS)
@in_blocks
def _iq3_xxs(blocks: Array, out: Array, /) -> None:
    words = field(blocks, 66, 32).view("<u4")
    groups = lookup(_groups("iq3_xxs", _IQ3_XXS_VALUES), field(blocks, 2, 64))
    scales = halves(blocks, 0) * ((words >> 28).astype("f4") + 0.5) * 0.5
    scale(out, _signed(groups, _seven_bit_signs(words)), scales)


@dequantize.register(IQ3_S)
@in_blocks
def _iq3_s(blocks: Array, out: Array, /) -> None:
    import numpy as np

    high = np.unpackbits(field(blocks, 66, 8), bitorder="little").reshape(-1, 64)
    groups = lookup(_groups("iq3_s", _IQ3_S_VALUES), field(blocks, 2, 64) | high.astype("u2") << 8)
    scales = halves(blocks, 0) * (1 + 2 * _alternating_nibbles(field(blocks, 106, 4)))
    scale(out, _signed(groups, lookup(_signs(8), field(blocks, 74, 32))), scales)


@functools.cache
def _shifted_groups() -> Array:
    """Return the grid of IQ1 in eighths: every group plus one, then every group minus one."""
    import numpy as np

    eighths = 8 * grid("iq1_s", (-1, 0, 1)).view("i1")
    return np.concatenate([eighths + 1, eighths - 1]).view("<u8").reshape(-1)


@dequantize.register(IQ1_S)
@in_blocks
def _iq1_s(blocks: Array, out: Array, /) -> None:
    import numpy as np

    words = field(blocks, 34, 16).view("<u2")
    high = words[..., None] >> np.array([0, 3, 6, 9], "u2") & 7 | (words[..., None] >> 15) << 3
    index = field(blocks, 2, 32) | high.reshape(-1, 32) << 8
    # An eighth of the scale is exact: it is far from float32's subnormal numbers.
    scales = products(halves(blocks, 0), 2 * (words >> 12 & 7) + 1) * 0.125
    scale(out, lookup(_shifted_groups(), index).view("i1"), scales)


@dequantize.register(IQ1_M)
@in_blocks
def _iq1_m(blocks: Array, out: Array, /) -> None:
    import numpy as np

    packed = field(blocks, 48, 8).view("<u2")
    # The 16-bit scale is in the top nibbles of four words, lowest nibble first.
    top = (packed & 0xF000) >> np.array([12, 8, 4, 0], "u2")
    scale16 = np.bitwise_or.reduce(top, axis=1, keepdims=True).view("<f2").astype("f4")
    steps = (packed[..., None] >> np.array([0, 3, 6, 9], "u2") & 7).reshape(-1, 16)
    high = field(blocks, 32, 16)[..., None] >> np.array([0, 4], "u1") & 15
    index = field(blocks, 0, 32) | high.reshape(-1, 32).astype("u2") << 8
    scales = products(scale16, 2 * steps + 1) * 0.125
    scale(out, lookup(_shifted_groups(), index).view("i1"), scales)


@dequantize.register(IQ4_NL)
@in_blocks
def _iq4_nl(blocks: Array, out: Array, /) -> None:
    scale(out, nibbles(field(blocks, 2, 16), _IQ4_VALUES), halves(blocks, 0))


@dequantize.register(IQ4_XS)
@in_blocks
def _iq4_xs(blocks: Array, out: Array, /) -> None:
    import numpy as np

    low = field(blocks, 4, 4)
    low = np.stack([low & 15, low >> 4], axis=-1).reshape(-1, 8)
    high = (field(blocks, 2, 2).view("<u2") >> np.arange(0, 16, 2, dtype="u2") & 3).astype("u1")
    scales = products(halves(blocks, 0), (low | high << 4).view("i1") - 32)
    scale(out, nibbles(field(blocks, 8, 128).reshape(-1, 16), _IQ4_VALUES), scales)

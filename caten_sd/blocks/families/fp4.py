"""MXFP4 and NVFP4: blocks of 4-bit floats with an 8-bit float scale.

Formats: OCP Microscaling (MX) 1.0 and block_nvfp4 in ggml's ggml-common.h. Values are doubled, so
that they are integers, and scales are halved. gguf-py is the oracle of the tests.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from caten_sd.blocks.block_types import BlockType, in_blocks
from caten_sd.blocks.lanes import field, lookup, nibbles, scale
from caten_sd.state.leaf import dequantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_E2M1_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


class MXFP4(BlockType):
    """32 values with a power of two as their scale."""

    name, elements, size, gguf = "mxfp4", 32, 17, 39
    halves = ()


class NVFP4(BlockType):
    """64 values, with an unsigned e4m3 scale for every 16."""

    name, elements, size, gguf = "nvfp4", 64, 36, 40
    halves = ()


@functools.cache
def _half_e8m0() -> Array:
    """Return half of 2**(byte - 127) for every byte; it is subnormal for bytes 0 and 1."""
    import numpy as np

    return np.ldexp(np.float32(1), np.arange(256) - 128).astype(np.float32)


@functools.cache
def _half_ue4m3() -> Array:
    """Return half of the e4m3 number in every byte's low seven bits; bytes 0x7f and 0 are 0."""
    import numpy as np

    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    numbers = np.where(exponent == 0, mantissa * 2.0**-9, normal) / 2
    numbers[0x7F] = 0
    return numbers.astype(np.float32)


@dequantize.register(MXFP4)
@in_blocks
def _mxfp4(blocks: Array, out: Array, /) -> None:
    lanes = nibbles(field(blocks, 1, 16), _E2M1_DOUBLED)
    scale(out, lanes, lookup(_half_e8m0(), field(blocks, 0, 1)))


@dequantize.register(NVFP4)
@in_blocks
def _nvfp4(blocks: Array, out: Array, /) -> None:
    lanes = nibbles(field(blocks, 4, 32).reshape(-1, 8), _E2M1_DOUBLED)
    scale(out, lanes, lookup(_half_ue4m3(), field(blocks, 0, 4)))

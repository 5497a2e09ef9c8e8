"""gguf-py as the oracle of every block type: the same blocks, the same values, bit for bit."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from caten_sd.blocks.block_types import block_type, quantize
from caten_sd.state.leaf import dequantize

Array = NDArray[Any]
SCALES = np.array([0, -0.0, 1, -2.5, 6e-8, 65504, np.inf, -np.inf, np.nan], np.float16)


def random_blocks(name: str, rows: int, blocks: int, seed: int = 0) -> Array:
    """Return rows of random bytes: every byte is valid in every type, NaN scales among them."""
    size = block_type(name).size
    return np.random.default_rng(seed).integers(0, 256, (rows, blocks * size), np.uint8)


def special_blocks(name: str) -> Array:
    """Return rows of one block with every special number in each place of a 16-bit float."""
    kind = block_type(name)
    places = kind.halves or (0,)
    raw = random_blocks(name, len(SCALES) * len(places), 1)
    for number, at in enumerate(places):
        rows = slice(number * len(SCALES), (number + 1) * len(SCALES))
        raw[rows, at : at + 2] = SCALES.view(np.uint8).reshape(-1, 2)
    return raw


def assert_unpacks(name: str, raw: Array) -> None:
    """Compare bits; NaN equals NaN, whose payload and sign processors choose differently."""
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name.upper()])
    values = dequantize(block_type(name), raw)
    assert values.shape == expected.shape
    assert values.dtype == np.float32
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(values), nan)
    np.testing.assert_array_equal(values.view("u4")[~nan], expected.view("u4")[~nan])


def assert_packs(name: str, values: Array) -> None:
    """Compare every byte with what gguf-py quantizes the same values to."""
    with np.errstate(all="ignore"):
        expected = gguf.quants.quantize(values, gguf.GGMLQuantizationType[name.upper()])
    raw = quantize(block_type(name), values)
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(raw, expected)

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.blocks.block_types import block_type
from caten_sd.state.leaf import dequantize

from .oracle import random_blocks, special_blocks


def by_the_formula(block: bytes) -> list[float]:
    """ggml's dequantize_row_q1_0, in Python: d * (2 * bit - 1), bit j is (qs[j / 8] >> j % 8)."""
    (d,) = np.frombuffer(block[:2], "<f2").astype("f4")
    return [d * np.float32(2 * (block[2 + j // 8] >> j % 8 & 1) - 1) for j in range(128)]


@pytest.mark.parametrize(
    "raw", [random_blocks("q1_0", 5, 7), random_blocks("q1_0", 1, 1), special_blocks("q1_0")]
)
def test_blocks_unpack_bit_equal_to_the_formula(raw: np.ndarray) -> None:
    values = dequantize(block_type("q1_0"), raw)
    with np.errstate(all="ignore"):
        rows = [by_the_formula(block.tobytes()) for block in raw.reshape(-1, 18)]
    expected = np.array(rows, np.float32).reshape(values.shape)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(values), ~known)
    np.testing.assert_array_equal(values[known].view("u4"), expected[known].view("u4"))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.blocks.block_types import block_type, quantize
from caten_sd.state.leaf import dequantize
from tests.properties import examples

from .oracle import assert_packs, assert_unpacks, random_blocks, special_blocks

NAMES = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "blocks"), [(1, 1), (3, 5), (40, 8)])
def test_random_blocks_unpack_bit_equal_to_gguf_py(name: str, rows: int, blocks: int) -> None:
    assert_unpacks(name, random_blocks(name, rows, blocks))


@pytest.mark.parametrize("name", NAMES)
def test_zero_infinite_and_nan_scales_unpack_as_in_gguf_py(name: str) -> None:
    assert_unpacks(name, special_blocks(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e6])
def test_values_of_every_size_pack_as_in_gguf_py(name: str, size: float) -> None:
    values = np.random.default_rng(0).normal(0, size, (3, 5, 96)).astype(np.float32)
    assert_packs(name, values)


@pytest.mark.parametrize("name", NAMES)
def test_ties_zeros_and_equal_values_pack_as_in_gguf_py(name: str) -> None:
    rows = [
        np.zeros(32),
        -np.zeros(32),
        np.full(32, 3.0),
        np.arange(32) - 15.5,
        np.repeat([127, -63.5], 16),
        np.repeat([1, -1], 16),
        np.r_[[254], np.arange(31) + 0.5],
    ]
    assert_packs(name, np.array(rows, np.float32))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes_pack_through_float32_as_in_gguf_py(name: str, dtype: type) -> None:
    assert_packs(name, np.random.default_rng(1).normal(size=(4, 64)).astype(dtype))


@settings(max_examples=examples(50))
@given(
    name=st.sampled_from(NAMES),
    row=st.lists(st.floats(-65000, 65000, width=32), min_size=32, max_size=32),
)
def test_any_finite_row_packs_as_in_gguf_py(name: str, row: list[float]) -> None:
    assert_packs(name, np.array([row], np.float32))


def test_q8_0_is_within_half_a_step_of_what_it_packs() -> None:
    values = np.random.default_rng(2).normal(size=(2, 64)).astype(np.float32)
    back = dequantize(block_type("q8_0"), quantize(block_type("q8_0"), values))
    step = abs(values).reshape(2, 2, 32).max(axis=2).repeat(32, axis=1) / 127
    # The step is stored in 16 bits, which moves the farthest value by up to 127 halves of its ulp.
    assert (abs(back - values) <= step * (0.5 + 127 * 2**-11)).all()

"""Sums of a weight and products of narrow matrices, whole and by rows."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.state.low_rank import LowRank, Multiple, WeightSum

RANDOM = np.random.default_rng(0)
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]] = {
    "linear": ((6, 5), (2, 5), (6, 2), False),
    "turned": ((5, 6), (2, 5), (6, 2), True),
    "conv": ((6, 5, 3, 3), (2, 5, 3, 3), (6, 2, 1, 1), False),
    "conv of 1": ((6, 5, 1, 1), (2, 5), (6, 2), False),
    "pair of a conv of 1": ((6, 5), (2, 5, 1, 1), (6, 2, 1, 1), False),
}


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_a_sum_is_that_of_numpy_rounded_once(name: str, dtype: Any) -> None:
    shape, down_shape, up_shape, turned = CASES[name]
    weight = RANDOM.normal(size=shape).astype(dtype)
    down, up = (RANDOM.integers(-3, 4, size).astype("f4") for size in (down_shape, up_shape))
    pair = LowRank(down, up, 0.5, turned)
    assert pair.fits(shape)
    product = np.einsum("or,r...->o...", up.reshape(up.shape[:2]), down) * 0.5
    expected = (product.T if turned else product).reshape(shape)
    wide = np.promote_types(dtype, "f4")
    total = (weight.astype(wide) + expected.astype(wide)).astype(dtype)
    leaf = WeightSum(weight, [pair])
    assert leaf.numpy().dtype == weight.dtype
    assert np.array_equal(leaf.numpy(), total)
    assert np.array_equal(leaf[1:4].numpy(), total[1:4])
    assert np.array_equal(leaf[2, 1:].numpy(), total[2, 1:])


@pytest.mark.parametrize(
    ("shape", "down", "up", "turned"),
    [
        ((6, 5), (2, 5), (6, 3), False),
        ((6, 5), (2, 5), (6, 2), True),
        ((6, 5), (2, 6), (5, 2), False),
        ((6, 10, 3), (2, 5, 3), (6, 2, 1), False),
        ((6, 5), (2,), (6, 2), False),
        ((6, 5), (2, 5), (6, 2, 2), False),
    ],
)
def test_a_product_of_another_shape_does_not_fit(
    shape: tuple[int, ...], down: tuple[int, ...], up: tuple[int, ...], turned: bool
) -> None:
    assert not LowRank(np.ones(down), np.ones(up), 1.0, turned).fits(shape)


def test_a_bias_gets_a_multiple() -> None:
    leaf = WeightSum(np.ones(4, "f4"), [Multiple(np.arange(4, dtype="f4"), 2.0)])
    assert leaf.numpy().tolist() == [1, 3, 5, 7]
    assert leaf[1:3].numpy().tolist() == [3, 5]

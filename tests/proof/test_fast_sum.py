"""Sums as products with ones: those of numpy, whatever the size and the dtype are."""

import numpy as np
import pytest

from caten_sd.proof.fast_sum import fast_sum


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 100_000])
def test_any_size(size: int, dtype: str) -> None:
    values = np.random.default_rng(0).standard_normal(size).astype(dtype)
    room = 2e-7 if dtype == "f4" else 1e-15
    assert fast_sum(values) == pytest.approx(values.astype("f8").sum(), abs=room * max(size, 1))


def test_what_is_not_finite_stays_so() -> None:
    values = np.ones(20_000, "f4")
    values[15_000] = np.inf
    assert fast_sum(values) == np.inf
    values[3] = np.nan
    assert np.isnan(fast_sum(values))

"""Projections of arrays: how far they are apart, and that no difference is lost."""

from typing import Any

import numpy as np
import pytest

from caten_sd.proof.projection import Projection

LONG = 200_000


def values(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(count)


@pytest.mark.parametrize("count", [1, 255, 257, 70_000, LONG])
def test_the_distance_is_right_within_a_few_parts(count: int) -> None:
    a, noise = values(count), values(count, 1)
    for b in (a + noise, a + 1e-6 * noise, a * 1.001, -a):
        exact = float(np.sqrt(np.mean(np.square(a - b))))
        assert Projection(a).rms(Projection(b)) == pytest.approx(exact, rel=0.3)
    assert Projection(a).rms(Projection(a.copy())) == 0


@pytest.mark.parametrize("count", [2, 65_536, LONG])
def test_differences_that_add_up_to_nothing_are_seen(count: int) -> None:
    a = values(count)
    b = a.copy()
    b[0], b[-1] = a[-1], a[0]
    exact = float(np.sqrt(np.mean(np.square(a - b))))
    assert Projection(a).rms(Projection(b)) == pytest.approx(exact, rel=0.5)
    gap = np.where(np.arange(count) // 65_536 % 2, 1.0, -1.0)  # which is that of the blocks
    assert Projection(a).rms(Projection(a + gap)) == pytest.approx(1.0, rel=0.3)


def test_values_that_are_not_finite_are_told_by_their_places() -> None:
    a = values(LONG)
    a[5], a[-5], a[7] = np.nan, np.inf, -np.inf
    assert Projection(a).rms(Projection(a.copy())) == 0
    for place, value in ((6, np.nan), (5, np.inf), (5, 0.0), (-5, -np.inf), (7, 1.0)):
        b = a.copy()
        b[place] = value
        assert Projection(a).rms(Projection(b)) == np.inf
    assert Projection(a).scale == pytest.approx(1, abs=0.01)
    assert Projection(np.full(3, np.nan)).scale == 0


@pytest.mark.parametrize("dtype", ["f2", "f4", "i8", "?"])
def test_dtypes(dtype: str) -> None:
    a = (values(1000) * 5).astype(dtype)
    assert Projection(a).rms(Projection(a.astype("f8"))) == 0
    assert Projection(a.reshape(10, 100)).size == 1000

"""Halves made floats in pairs: the values of a plain cast, in an order that both sides share."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.proof.paired_halves import PairedHalves

EVERY = np.arange(1 << 16, dtype="u2")


def paired(array: Any, other: Any) -> tuple[Any, Any]:
    pairs = PairedHalves(np.full(2 * array.size + 2, np.nan, "f4"), array.size, array.dtype)
    for side, given in zip(pairs.halves, (array, other), strict=True):
        side[:] = given
    return pairs.floats()


@pytest.mark.parametrize("dtype", ["f2", ml_dtypes.bfloat16])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000, 1 << 16])
def test_every_pattern_of_bits(dtype: Any, count: int) -> None:
    every = np.random.default_rng(0).permutation(EVERY)[:count].view(dtype)
    other = every[::-1].copy()
    with np.errstate(invalid="ignore"):
        wanted = [side.astype("f4") for side in (every, other)]
    if dtype == "f2":
        for side in wanted:  # of which one with the bits of 65536 or more is none that float16 has
            side[~np.isfinite(side)] = np.inf
    odd = np.zeros(count % 2, "f4")
    found = paired(every, other)
    for side, values in zip(found, wanted, strict=True):
        order = np.concatenate([values[::2], values[1::2], odd])
        is_finite = np.isfinite(order)
        assert side[is_finite].tobytes() == order[is_finite].tobytes()
        if dtype == "f2":
            assert (np.abs(side[~is_finite]) >= 65536).all()
        else:
            np.testing.assert_array_equal(side[~is_finite], order[~is_finite])


def test_one_that_is_not_finite_is_told_by_the_squares() -> None:
    for value in (np.inf, -np.inf, np.nan):
        pairs = PairedHalves(np.empty(200, "f4"), 100, np.dtype("f2"))
        pairs.halves[0][:], pairs.halves[1][:] = 0, 0
        pairs.halves[1][77] = value
        a, b = pairs.floats()
        assert a.dot(a) == 0
        assert b.dot(b) >= pairs.below


def test_memory_is_used_again() -> None:
    pairs = PairedHalves(np.empty(12, "f4"), 5, np.dtype("f2"))
    for value in (1.0, 2.0):
        for side in pairs.halves:
            side[:] = value
        assert [side.tolist() for side in pairs.floats()] == [[value] * 5 + [0.0]] * 2


def test_only_halves_of_this_machine_are_paired() -> None:
    held = [PairedHalves.can_hold(np.dtype(name)) for name in ("f2", "f4", ">f2", "u2")]
    assert held == [True, False, False, False]
    assert PairedHalves.can_hold(np.dtype(ml_dtypes.bfloat16))

"""Keys whose numbers may be anything are compared without an error of Python's own, and soon."""

from __future__ import annotations

import time

import numpy as np
import pytest

from caten_sd import plan_load
from caten_sd.loading.number_places import number_apart


@pytest.mark.parametrize("digit", ["9", "\u0663", "\u00b2"])
def test_a_number_of_thousands_of_digits_in_a_key_is_a_name(digit: str) -> None:
    key = f"a.{digit * 5000}.w"
    plan = plan_load({"h.0.w": np.zeros(2, "f4")}, {key: np.zeros(2, "f4")})
    assert not plan.fits


def test_a_run_of_separators_is_looked_at_once() -> None:
    """The time for each of 200,000 would be 200 s if it were looked at again from each."""
    start = time.process_time()
    assert number_apart("_" * 200_000 + "w_1_2__a") == "_" * 200_000 + "w.1.2.a"
    assert time.process_time() - start < 1

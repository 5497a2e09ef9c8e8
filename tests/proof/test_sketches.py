"""Sketches of tensors: what is kept of their values, and in which dtype."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.proof.sketches import POINTS, sketch, sketches
from caten_sd.proof.weights import Weights
from caten_sd.state.state_dict import as_state_dict


def weights(**leaves: np.ndarray) -> Weights:
    found = Weights(as_state_dict(leaves))
    found.read(found.levels)
    return found


def test_few_values_are_all_kept_once() -> None:
    assert sketch(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 2.0, 3.0]
    assert len(sketch(np.arange(POINTS))) == len(sketch(np.arange(9 * POINTS))) == POINTS


@pytest.mark.parametrize(("dtype", "expected"), [("f4", "float32"), ("f8", "float64")])
def test_rows_are_no_wider_than_the_values(dtype: str, expected: str) -> None:
    a = weights(x=np.arange(5, dtype=dtype), y=np.array([1, 2, np.inf, 0, 0], dtype))
    ((ones, others),) = sketches(a, a.specs, a, a.specs)
    assert ones.keys == others.keys == ["x"]
    assert ones.rows.dtype == expected
    assert ones.rows.tolist() == [[0, 1, 2, 3, 4]]

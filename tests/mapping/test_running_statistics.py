"""Running statistics that a count of batches corrects, and counts that correct nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError
from caten_sd.mapping.layer_operations import by_position, in_order
from caten_sd.mapping.running_statistics import ZeroDebias
from caten_sd.state.leaf import Numpy, as_array

MEAN, VAR = np.ones(3, "f4"), np.full(3, 2.0, "f4")


def corrected(momentum: float | None, count: Any) -> list[Any]:
    """Return both statistics without what their weights lack."""
    operation = ZeroDebias(momentum=momentum).inverse()
    return in_order(operation.apply(by_position([MEAN, VAR, count])))


def test_statistics_are_divided_by_what_their_weights_amount_to() -> None:
    made = in_order(ZeroDebias(momentum=0.5).apply(by_position([MEAN, VAR])))
    assert made[0] is MEAN
    assert made[1] is VAR
    assert made[2] == 0
    mean, _ = corrected(0.5, np.array(2))
    assert np.allclose(as_array(Numpy(), mean), MEAN / 0.75)
    assert corrected(0.5, np.array(0))[0] is MEAN


@pytest.mark.parametrize(
    ("momentum", "count", "match"),
    [
        (0.9, np.array(-5), "-5 in int64"),
        (0.9, np.array(np.nan), "nan in float64"),
        (0.9, np.zeros(3, "i4"), r"\[3\]"),
        (0.9, np.zeros(0, "i4"), r"\[0\]"),
        (1.0, np.array(2), "momentum 1,"),
        (2.0, np.array(5000), "momentum 2,"),
        (None, np.array(2), "2 batches.* give the model in place of its file"),
    ],
)
def test_a_count_that_corrects_nothing_is_refused(momentum: Any, count: Any, match: str) -> None:
    with pytest.raises(LayoutError, match=match):
        corrected(momentum, count)

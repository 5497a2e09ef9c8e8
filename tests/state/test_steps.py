"""Every step does the same in numpy and in torch, and knows its shape beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.state.derived import derive
from caten_sd.state.leaf import Numpy, Torch, as_array, spec
from caten_sd.state.steps import Cut, Join, Permute, Pick, Pile, Reorder, Step
from caten_sd.state.value_steps import Shift

ARRAY = np.arange(24, dtype="f4").reshape(2, 3, 4)
STEPS: list[tuple[Step, int, Any]] = [
    (Permute((2, 0, 1)), 1, ARRAY.transpose(2, 0, 1)),
    (Reorder(1, (2, 0, 1)), 1, ARRAY[:, [2, 0, 1]]),
    (Cut(2, 1, 3), 1, ARRAY[:, :, 1:3]),
    (Pick(1, 2), 1, ARRAY[:, 2]),
    (Join(1), 2, np.concatenate([ARRAY, ARRAY], 1)),
    (Pile(3), 2, np.stack([ARRAY, ARRAY], 3)),
    (Shift(0.5), 1, ARRAY + np.float32(0.5)),
]


@pytest.mark.parametrize(("step", "count", "meant"), STEPS)
def test_a_step_is_one_thing_to_numpy_and_torch(step: Step, count: int, meant: Any) -> None:
    leaf = derive(step, [ARRAY.copy() for _ in range(count)])
    assert spec(leaf).shape == meant.shape
    assert spec(leaf).nbytes == meant.nbytes
    for kind in (Numpy(), Torch()):
        result = as_array(kind, leaf)
        assert tuple(result.shape) == meant.shape
        assert np.array_equal(as_array(Numpy(), result), meant)
    assert np.array_equal(np.asarray(leaf), meant)
    assert np.asarray(leaf, "f8").dtype == "f8"


@pytest.mark.parametrize(
    ("step", "shapes", "problem"),
    [
        (Join(0), [(), ()], r"\(\) has no axis 0"),
        (Join(0), [(2, 3), (2, 4)], r"\(2, 3\), \(2, 4\) cannot be joined along axis 0"),
        (Pile(0), [(2, 3), (3, 2)], r"\(2, 3\), \(3, 2\) differ and cannot be stacked"),
        (Pile(4), [(2, 3), (2, 3)], "no place for a new axis 4"),
    ],
)
def test_shapes_that_do_not_allow_a_step_are_named(
    step: Step, shapes: list[tuple[int, ...]], problem: str
) -> None:
    with pytest.raises(LayoutError, match=problem):
        step.shape(shapes)


@pytest.mark.parametrize(
    ("step", "keeps"),
    [
        (Permute((1, 0, 2)), True), (Permute((0, 2, 1)), False), (Cut(0, 0, 1), True),
        (Cut(2, 0, 1), False), (Pick(1, 0), True), (Pick(2, 0), False), (Join(1), True),
        (Join(2), False), (Pile(2), True), (Pile(3), False), (Shift(1.0), False),
    ],
)  # fmt: skip
def test_rows_are_kept_unless_the_last_axis_changes(step: Step, keeps: bool) -> None:
    assert step.keeps_rows(3) is keeps

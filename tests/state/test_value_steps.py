"""New values in numpy and torch, rounded once to the dtype they were of, and undone in order."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.state.derivation import rounds
from caten_sd.state.derived import derive
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.value_steps import NegatedExponential, Shift, Times, ValueStep

ARRAY = np.array([[0.1, -2.0, 3.0], [0.3, 1.7, -0.5]])
STEPS: list[tuple[ValueStep, Any]] = [
    (Shift(0.1), lambda x: x + 0.1),
    (Times(0.3), lambda x: x * 0.3),
    (Times(0.3, divided=True), lambda x: x / 0.3),
    (NegatedExponential(), lambda x: -np.exp(x)),
]


@pytest.mark.parametrize(("step", "meant"), STEPS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_numpy_and_torch_round_once(step: ValueStep, meant: Any, dtype: Any) -> None:
    array = ARRAY.astype(dtype)
    leaf = derive(step, [array])
    wide = meant(array.astype("f8")).astype("f4" if array.itemsize < 8 else "f8")
    for kind in (Numpy(), Torch()):
        result = as_array(Numpy(), as_array(kind, leaf))
        assert result.dtype == dtype
        eps = float(ml_dtypes.finfo(dtype).eps)
        assert np.allclose(result.astype("f8"), wide.astype(dtype).astype("f8"), rtol=eps)
    assert np.array_equal(leaf[:, 1:].numpy(), leaf.numpy()[:, 1:])
    assert rounds(leaf)
    assert as_array(Numpy(), derive(step, [np.full((), 1, dtype)])).shape == ()


def test_a_step_undoes_only_its_own() -> None:
    steps = [Shift(2.0), Shift(-2.0), Times(2.0), Times(2.0, divided=True)]
    steps += [NegatedExponential(), NegatedExponential(back=True)]
    pairs = {
        (a, b) for a, one in enumerate(steps) for b, two in enumerate(steps) if one.undoes(two)
    }
    assert pairs == {(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)}


def test_values_that_are_not_floats_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"\+2 can be added to floats only, .* int64"):
        derive(Shift(2.0), [np.zeros(2, "i8")])
    with pytest.raises(LayoutError, match=r"floats only, .* bool"):
        derive(Times(2.0), [np.zeros(2, "?")])

"""Sums with the norms that magnitudes state, whole and by rows, of rows and of columns."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.low_rank import LowRank
from caten_sd.state.parts import parts
from caten_sd.state.rescaled_sum import Magnitudes, RescaledSum

RANDOM = np.random.default_rng(0)
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool, int]] = {
    "linear": ((6, 5), (2, 5), (6, 2), False, 0),
    "conv": ((6, 5, 3, 3), (2, 5, 3, 3), (6, 2, 1, 1), False, 0),
    "turned": ((5, 6), (2, 5), (6, 2), True, 1),
    "inputs of a linear": ((6, 5), (2, 5), (6, 2), False, 1),
    "inputs of a conv": ((6, 5, 3, 3), (2, 5, 3, 3), (6, 2, 1, 1), False, 1),
}


def expected_of(weight: Any, pair: LowRank, values: Any, axis: int) -> Any:
    total = weight.astype("f8") + pair.numpy(weight.shape)
    others = tuple(each for each in range(total.ndim) if each != axis)
    norms = np.sqrt((total**2).sum(axis=others, keepdims=True))
    return total / norms * values.reshape(norms.shape)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_the_norms_along_an_axis_are_the_magnitudes(name: str, dtype: Any) -> None:
    shape, down_shape, up_shape, turned, axis = CASES[name]
    weight = RANDOM.normal(size=shape).astype(dtype)
    down, up = (RANDOM.integers(-3, 4, size).astype("f4") for size in (down_shape, up_shape))
    pair = LowRank(down, up, 0.5, turned)
    values = RANDOM.uniform(0.5, 2, shape[axis]).astype("f4")
    expected = expected_of(weight, pair, values, axis)
    leaf = RescaledSum(weight, pair, Magnitudes(values, axis))
    whole = leaf.numpy()
    assert whole.dtype == weight.dtype
    step = max(float(ml_dtypes.finfo(weight.dtype).eps), 2.0**-22)
    assert np.allclose(whole.astype("f8"), expected, rtol=step, atol=2.0**-21)
    assert np.array_equal(leaf[1:4].numpy(), whole[1:4])
    assert np.array_equal(leaf[2, 1:].numpy(), whole[2, 1:])


@pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 6, 1, 1)])
def test_magnitudes_may_have_axes_of_one(shape: tuple[int, ...]) -> None:
    weight, pair = np.ones((6, 5), "f4"), LowRank(np.zeros((2, 5)), np.zeros((6, 2)), 1.0)
    values = np.arange(6, dtype="f4")
    leaf = RescaledSum(weight, pair, Magnitudes(values.reshape(shape), 0))
    assert np.allclose(leaf[2:5].numpy(), (values[2:5] / np.sqrt(5))[:, None])


def test_a_norm_of_zero_gives_what_peft_gives_and_with_an_epsilon_zero() -> None:
    weight, pair = np.diag([0.0, 2.0]), LowRank(np.zeros((1, 2)), np.zeros((2, 1)), 1.0)
    values = np.array([3.0, 3.0], "f4")
    found = RescaledSum(weight, pair, Magnitudes(values, 0)).numpy()
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [0, 3]
    found = RescaledSum(weight, pair, Magnitudes(values, 0, epsilon=2.0**-23)).numpy()
    assert found[0].tolist() == [0, 0]


def test_an_empty_weight_stays_empty() -> None:
    for shape, axis in (((0, 3), 0), ((0, 3), 1), ((3, 0), 0)):
        pair = LowRank(np.zeros((1, shape[1])), np.zeros((shape[0], 1)), 1.0)
        leaf = RescaledSum(np.zeros(shape, "f4"), pair, Magnitudes(np.ones(shape[axis]), axis))
        assert leaf.numpy().shape == shape


@pytest.mark.parametrize(("shape", "axis"), [((6000, 90), 1), ((6000, 90), 0)])
def test_a_large_weight_is_read_in_parts_and_columns_have_the_norms_of_all(
    shape: tuple[int, int], axis: int, tmp_path: Path
) -> None:
    given = {
        "w": RANDOM.normal(size=shape).astype("f4"),
        "down": RANDOM.normal(size=(1, shape[1])).astype("f4"),
        "up": RANDOM.normal(size=(shape[0], 1)).astype("f4"),
        "m": RANDOM.uniform(1, 2, shape[axis]).astype("f4"),
    }
    sd.write_state_dict(given, tmp_path / "all.safetensors")
    with sd.read_state_dict(tmp_path / "all.safetensors", streaming=True) as found:
        pair = LowRank(found["down"], found["up"], 2.0)
        leaf = RescaledSum(found["w"], pair, Magnitudes(found["m"], axis))
        pieces = [np.asarray(part) for part in parts(leaf)]
        assert len(pieces) > 1
        whole = np.concatenate([piece.reshape(-1) for piece in pieces]).reshape(shape)
    exact = LowRank(given["down"], given["up"], 2.0)
    expected = expected_of(given["w"], exact, given["m"], axis)
    assert np.allclose(whole, expected, rtol=2.0**-21, atol=2.0**-21)


def test_norms_of_columns_are_the_same_from_parts_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = RANDOM.integers(-4, 5, (2, 5, 3)).astype("f4")
    pair = LowRank(np.zeros((1, 5, 3)), np.zeros((2, 1)), 1.0)
    leaf = RescaledSum(weight, pair, Magnitudes(np.ones(5), 1))
    expected = leaf.numpy()
    asked = []

    def cut(total: Any) -> list[Any]:
        asked.append(total)
        return [total[i : i + 1, j : j + 2] for i in range(2) for j in (0, 2, 4)]

    monkeypatch.setattr("caten_sd.state.rescaled_sum.parts", cut)
    again = RescaledSum(weight, pair, Magnitudes(np.ones(5), 1))
    assert np.array_equal(again[:1].numpy(), expected[:1])
    assert np.array_equal(again[1:].numpy(), expected[1:])
    assert len(asked) == 1  # the norms are kept


@pytest.mark.parametrize("axis", [0, 1])
def test_a_sum_goes_to_another_process(axis: int) -> None:
    """As the state dict of a model does, to the workers of a loader; that of columns has a lock."""
    weight = RANDOM.normal(size=(6, 5)).astype("f4")
    pair = LowRank(RANDOM.normal(size=(2, 5)), RANDOM.normal(size=(6, 2)), 0.5)
    leaf = RescaledSum(weight, pair, Magnitudes(np.ones(weight.shape[axis], "f4"), axis))
    for other in (pickle.loads(pickle.dumps(leaf)), copy.deepcopy(leaf)):
        assert (as_array(Numpy(), other) == as_array(Numpy(), leaf)).all()

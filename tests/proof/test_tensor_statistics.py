"""Statistics of values: as numpy gives them for the whole tensor, whatever its size and dtype."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from caten_sd import read_state_dict
from caten_sd.proof.tensor_statistics import BLOCK, FAR, statistics
from tests.cli.running import run
from tests.properties import examples


def check(array: Any, leaf: Any) -> None:
    found = statistics(leaf)
    assert found is not None
    wide = array.astype(np.float64).reshape(-1)
    finite = wide[np.isfinite(wide)]
    far = np.abs(finite - finite.mean()) > FAR * finite.std()
    assert (found.number, found.zeros) == (wide.size, (wide == 0).sum())
    assert (found.nans, found.infinities) == (np.isnan(wide).sum(), np.isinf(wide).sum())
    assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    scale = max(np.abs(finite).max(), 1e-30)
    assert found.mean == pytest.approx(finite.mean(), rel=1e-5, abs=1e-6 * scale)
    assert found.std == pytest.approx(finite.std(), rel=1e-4, abs=1e-6 * scale)
    assert found.outliers == far.sum()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "bfloat16", "i1", "u4", "i8", "?"])
def test_they_are_those_of_the_whole(dtype: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    array = (random.standard_t(3, (3, BLOCK // 2)) * 9).round(1)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    array = np.abs(array).astype(kind) if dtype in ("u4", "?") else array.astype(kind)
    check(array, array)
    if dtype != "bfloat16":
        save_file({"x": array}, tmp_path / "x.safetensors")
        check(array, read_state_dict(tmp_path / "x.safetensors")["x"])


def test_what_is_far_from_0_keeps_its_deviation_and_large_values_do_not_overflow() -> None:
    random = np.random.default_rng(0)
    check(near := (1000 + random.standard_normal(2 * BLOCK) * 0.01).astype("f4"), near)
    check(large := np.array([3e38, 3e38, -3e38, 1], "f4"), large)


@pytest.mark.parametrize("least", [0.0, -1.7e308])
def test_doubles_whose_sum_is_infinite_have_a_mean(least: float) -> None:
    """As in a mask that is filled with the least double."""
    lowest = float(np.finfo("f8").min)
    found = statistics(np.array([lowest, lowest, lowest, least]))
    assert found is not None
    assert found.mean == pytest.approx(lowest * 0.75 + least / 4)
    assert found.std == np.inf
    assert found.outliers == 0
    same = statistics(np.full(BLOCK + 1, lowest))
    assert same is not None
    assert (same.mean, same.std, same.outliers) == (lowest, 0, 0)


@pytest.mark.parametrize("scale", [1e-20, 1e-30, 1e-37])
def test_the_deviation_of_tiny_values_is_not_0(scale: float) -> None:
    values = (np.random.default_rng(0).standard_normal(100) * scale).astype("f4")
    found = statistics(values)
    assert found is not None
    assert found.std == pytest.approx(values.astype("f8").std(), rel=1e-5)
    assert found.outliers == 0


@given(st.lists(st.floats(width=32), min_size=1, max_size=9))
@settings(max_examples=examples(30))
def test_what_is_not_finite_is_counted_and_left_out(values: list[float]) -> None:
    array = np.array(values, "f4")
    found = statistics(array)
    assert found is not None
    assert found.nans + found.infinities == (~np.isfinite(array)).sum()
    if np.isfinite(array).any():
        assert found.maximum == array[np.isfinite(array)].max()
    assert str(found)


def test_what_has_no_real_numbers_has_none() -> None:
    assert statistics(np.zeros(2, "c8")) is None
    assert statistics(3) is None
    empty = statistics(np.zeros((0, 2)))
    assert str(empty) == "no values"


def test_show_joins_layers_and_names_what_is_not_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.safetensors"
    layers = {f"h.{i}.w": np.array([i, -i], "f4") for i in range(4)}
    save_file({**layers, "bad": np.array([1, np.nan, np.inf, 0], "f4")}, path)
    code, out, _ = run(capsys, "show", path, "--stats")
    assert code == 0
    assert "h.{0..3}.w x4: -3 to 3, mean 0, std 1.87, 25% zeros" in out
    assert "NaN or infinities in bad" in out
    assert "bad: 0 to 1, mean 0.5, std 0.5, 25% zeros, 25% NaN, 25% Inf" in out
    rows = json.loads(run(capsys, "show", path, "--stats", "--json")[1])["groups"]["statistics"]
    by_key = {row["key"]: row for row in rows}
    assert by_key["h.3.w"]["max"] == 3
    assert (by_key["bad"]["nan"], by_key["bad"]["inf"]) == (1, 1)


@pytest.mark.parametrize("middle", [0.0, 1e4, -3e6])
@pytest.mark.parametrize("dtype", ["f4", "f8", ml_dtypes.bfloat16])
def test_values_that_lie_close_together_far_from_zero(middle: float, dtype: Any) -> None:
    values = (np.random.default_rng(0).standard_normal(300_000) * 8 + middle).astype(dtype)
    found, wanted = statistics(values), values.astype("f8")
    assert found is not None
    assert found.mean == pytest.approx(wanted.mean(), abs=1e-4)
    assert found.std == pytest.approx(wanted.std(), rel=1e-5)

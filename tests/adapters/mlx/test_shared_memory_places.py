"""Loads into arrays of MLX: values are copied, casts are counted, and no bit is lost unsaid."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd import load_state_dict, plan_load, with_state
from caten_sd.errors import LoadError
from caten_sd.loading.report import Outcome

mx = pytest.importorskip("mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'")

SOURCES = [
    np.arange(4, dtype=np.float32),
    torch.arange(4.0),
    np.arange(4, dtype=ml_dtypes.bfloat16),
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_values_of_other_worlds_get_into_the_array_that_is_there(dtype: str, source: Any) -> None:
    place = mx.random.normal((4,)).astype(getattr(mx, dtype), stream=mx.cpu)
    model = {"w": place}
    load_state_dict(model, {"w": source}, silent=True)
    assert model["w"] is place
    assert str(place.dtype) == f"mlx.core.{dtype}"
    assert place.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": "f32"}])
def test_a_load_copies_where_the_source_can_be_changed(options: dict[str, Any]) -> None:
    source = np.zeros(3, np.float32)
    model = {"w": mx.ones(3)}
    load_state_dict(model, {"w": source}, **options)
    source += 7
    assert model["w"].tolist() == [0, 0, 0]


def test_an_array_of_mlx_is_copied_too_but_for_assign() -> None:
    source = mx.array([1.0, 2.0])
    model = {"w": mx.zeros(2)}
    load_state_dict(model, {"w": source})
    np.array(source, copy=False)[:] = 9  # what MLX calls a view without a copy
    assert model["w"].tolist() == [1, 2]
    load_state_dict(model, {"w": source}, assign=True)
    assert model["w"] is source


def test_narrowing_is_counted_and_asked_for_float64_stays_it() -> None:
    model, file = {"w": mx.zeros(1)}, {"w": np.array([np.pi])}
    assert [row.outcome for row in plan_load(model, file).rows] == [Outcome.CAST]
    load_state_dict(model, file, assign=True)
    assert model["w"].dtype == mx.float64
    assert np.asarray(model["w"]).item() == np.pi
    with pytest.raises(LoadError, match="a dtype that the slot cannot hold"):
        load_state_dict({"w": mx.zeros(1, dtype=mx.int32)}, file)


def test_swapped_places_and_a_load_of_itself() -> None:
    a, b = mx.array([1.0]), mx.array([2.0])
    model = {"a": a, "b": b}
    load_state_dict(model, {"a": b, "b": a})
    assert (a.item(), b.item()) == (2, 1)
    new = with_state(model, {"a": b, "b": a})
    assert (new["a"].item(), new["b"].item(), a.item(), b.item()) == (1, 2, 2, 1)


@pytest.mark.parametrize(("location", "is_there"), [("cpu", True), ("cuda:0", False)])
def test_all_devices_share_the_memory(location: str, is_there: bool) -> None:
    model = {"w": mx.zeros(2)}
    if is_there:
        load_state_dict(model, {"w": np.ones(2, "f4")}, map_location=location, assign=True)
        assert model["w"].tolist() == [1, 1]
        return
    with pytest.raises(LoadError, match="cannot go to 'cuda:0'"):
        load_state_dict(model, {"w": np.ones(2, "f4")}, map_location=location, assign=True)

"""Loads into tensors of tinygrad: into the buffers that they have, or as their first values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from caten_sd import load_state_dict, plan_load
from caten_sd.errors import LoadError
from caten_sd.loading.report import Outcome

tinygrad = pytest.importorskip(
    "tinygrad", reason="tinygrad is not installed: pip install 'caten-sd[tinygrad]'"
)
Tensor, dtypes = tinygrad.Tensor, tinygrad.dtypes
nn = pytest.importorskip("tinygrad.nn")

SOURCES = [
    np.arange(4, dtype=np.float32),
    torch.arange(4.0),
    np.arange(4, dtype=ml_dtypes.bfloat16),
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("is_realized", [True, False])
def test_values_of_other_worlds_get_into_the_tensor_that_is_there(
    dtype: str, source: Any, is_realized: bool
) -> None:
    place = Tensor.rand(4).cast(getattr(dtypes, dtype))
    place = place.realize() if is_realized else place
    model = {"w": place}
    load_state_dict(model, {"w": source}, silent=True)
    assert model["w"] is place
    assert place.dtype == getattr(dtypes, dtype)
    assert place.tolist() == [0, 1, 2, 3]


def test_a_function_that_was_captured_computes_with_the_new_values() -> None:
    layer, x = nn.Linear(2, 2, bias=False), Tensor(np.eye(2, dtype=np.float32)).realize()
    layer.weight.realize()
    jitted = tinygrad.TinyJit(lambda x: layer(x).realize())
    for _ in range(3):
        jitted(x)
    new = np.arange(4, dtype=np.float32).reshape(2, 2)
    load_state_dict(layer, {"weight": new})
    assert np.array_equal(jitted(x).numpy(), new.T)


def test_a_view_of_a_buffer_sees_what_is_loaded_into_it() -> None:
    whole = Tensor(np.zeros((2, 2), np.float32)).realize()
    view = whole.reshape(4)
    load_state_dict({"w": whole}, {"w": np.ones((2, 2), np.float32)})
    assert view.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": "f32"}])
def test_a_load_copies_where_the_source_can_be_changed(options: dict[str, Any]) -> None:
    source = np.zeros(3, np.float32)
    model = {"w": Tensor.ones(3).realize()}
    load_state_dict(model, {"w": source}, **options)
    source += 7
    assert model["w"].tolist() == [0, 0, 0]


def test_swapped_places_and_a_tensor_that_is_adopted() -> None:
    a, b = Tensor([1.0]).realize(), Tensor([2.0]).realize()
    model = {"a": a, "b": b}
    load_state_dict(model, {"a": b, "b": a})
    assert (a.item(), b.item()) == (2, 1)
    new = Tensor([3.0])
    load_state_dict(model, {"a": new, "b": b}, assign=True)
    assert model["a"] is new


def test_a_constant_gets_memory_of_the_dtype_that_it_would_have() -> None:
    model = {"scale": Tensor(3.0)}
    load_state_dict(model, {"scale": np.array(2.0, np.float32)}, strict=True)
    assert model["scale"].item() == 2
    assert model["scale"].dtype == dtypes.float32


def test_casts_are_counted_and_integers_take_no_floats() -> None:
    file = {"w": np.array([np.pi])}
    assert [row.outcome for row in plan_load({"w": Tensor.zeros(1)}, file).rows] == [Outcome.CAST]
    with pytest.raises(LoadError, match="a dtype that the slot cannot hold"):
        load_state_dict({"w": Tensor.zeros(1, dtype=dtypes.int32)}, file)


def test_a_tensor_in_a_file_is_a_source_and_no_place(tmp_path: Path) -> None:
    nn.state.safe_save({"w": Tensor([1.0, 2.0])}, str(tmp_path / "w.safetensors"))
    in_file = nn.state.safe_load(str(tmp_path / "w.safetensors"))
    model = {"w": Tensor.zeros(2)}
    load_state_dict(model, in_file)
    assert model["w"].tolist() == [1, 2]
    (row,) = plan_load(in_file, {"w": np.zeros(2, np.float32)}).rows
    assert row.outcome in (Outcome.LOADED, Outcome.UNASSIGNABLE)
    assert "lies in a file" in row.note or "new object" in row.note


def test_a_device_that_is_not_there_is_refused() -> None:
    model = {"w": Tensor.zeros(2)}
    with pytest.raises(LoadError, match="'NOWHERE' is not a device that tinygrad has here"):
        load_state_dict(model, {"w": np.ones(2, "f4")}, map_location="NOWHERE", assign=True)
    place = f"{tinygrad.Device.DEFAULT}:1"
    load_state_dict(model, {"w": np.ones(2, "f4")}, map_location=place, assign=True)
    assert model["w"].device == place


def test_a_tensor_that_is_divided_over_devices_stays_so() -> None:
    if tinygrad.Device.DEFAULT == "PYTHON":
        pytest.skip("this device of tinygrad cannot gather: set DEV")
    devices = tuple(f"{tinygrad.Device.DEFAULT}:{number}" for number in (1, 2))
    place = Tensor.zeros(4, 2).contiguous().shard(devices, axis=0).realize()
    new = np.arange(8, dtype=np.float32).reshape(4, 2)
    load_state_dict({"w": place}, {"w": new})
    assert (place.device, place.uop.axis) == (devices, 0)
    assert np.array_equal(place.numpy(), new)

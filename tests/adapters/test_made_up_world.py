"""A new world is one file: every verb works for its objects, and nothing else was edited."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import (
    between,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    snapshot,
    to_layout,
    write_state_dict,
)
from caten_sd.errors import LoadError
from caten_sd.loading.with_state import with_state
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Row
from caten_sd.state.compare import same_values
from caten_sd.state.leaf import Numpy, as_array

from .made_up_world import Grid, Mixer, Net


def net(value: float = 0) -> Net:
    half = np.full(2, value, np.float16)
    return Net(body=[Net(w=Grid(np.full((2, 3), value, np.float32)))], b=Grid(half))


def numbers(model: Any) -> dict[str, Any]:
    return {k: as_array(Numpy(), v).tolist() for k, v in get_state_dict(model).items()}


KEYS = ["body.0.w", "b"]


def test_extraction_follows_the_table() -> None:
    assert list(get_state_dict(net())) == KEYS
    assert get_state_dict(net()).paths["body.0.w"] == ["body", 0, "w"]


def test_a_plan_accounts_for_every_slot_and_key() -> None:
    plan = plan_load(net(), {"body.0.w": np.ones((2, 3), np.float32), "steps": np.array(1)})
    assert {row.key: row.outcome.name for row in plan.rows} == {
        "body.0.w": "LOADED",
        "b": "MISSING",
        "steps": "COMPUTED",
    }


@pytest.mark.parametrize("assign", [False, True])
def test_a_load_puts_new_arrays_into_the_table(assign: bool) -> None:
    model, file = net(), get_state_dict(net(3))
    load_state_dict(model, file, strict=True, assign=assign)
    assert numbers(model) == numbers(net(3))
    assert isinstance(model.table["b"][0], Grid)
    assert model.table["b"][1]


def test_dtypes_are_cast_or_kept() -> None:
    model = net()
    load_state_dict(model, {"body.0.w": np.ones((2, 3)), "b": np.ones(2)}, strict=True)
    assert get_state_dict(model)["b"]._array.dtype == np.float16
    load_state_dict(model, {"body.0.w": np.ones((2, 3)), "b": np.ones(2)}, dtype="keep")
    assert get_state_dict(model)["b"]._array.dtype == np.float64


def test_with_state_leaves_the_old_model_as_it_was() -> None:
    old = net()
    new = with_state(old, get_state_dict(net(5)), strict=True)
    assert (numbers(old), numbers(new)) == (numbers(net()), numbers(net(5)))


class Rebuilt(Net):
    """A module that copies itself without a look at what was copied before."""

    def __deepcopy__(self, memo: Any) -> Rebuilt:
        made = Rebuilt()
        made.table = {k: (copy.deepcopy(v), trained) for k, (v, trained) in self.table.items()}
        return made


def test_with_state_fills_the_copy_that_a_model_makes_of_itself() -> None:
    old = Rebuilt(w=Grid(np.zeros(2)), inner=Rebuilt(w=Grid(np.zeros(1))))
    new = with_state(old, {"w": np.ones(2), "inner.w": np.ones(1)}, strict=True)
    assert numbers(old) == {"w": [0, 0], "inner.w": [0]}
    assert numbers(new) == {"w": [1, 1], "inner.w": [1]}


def test_a_load_that_fails_changes_nothing() -> None:
    model = net()
    with pytest.raises(LoadError, match=r"body\.0\.w"):
        load_state_dict(model, {"body.0.w": np.ones((9, 9)), "b": np.ones(2)}, strict=True)
    assert numbers(model) == numbers(net())


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "npz", "msgpack"])
def test_a_file_takes_it_and_gives_it_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    write_state_dict(get_state_dict(net(7)), path)
    model = net()
    with read_state_dict(path) as file:
        load_state_dict(model, file, strict=True)
        assert isinstance(file["b"].to("grids"), Grid)
    assert numbers(model) == numbers(net(7))


def test_it_meets_another_world_by_numpy() -> None:
    tensors = {key: torch.ones(tuple(np.shape(v))) for key, v in numbers(net()).items()}
    model = net()
    load_state_dict(model, tensors)
    assert numbers(model) == numbers(net(1))
    load_state_dict(tensors, get_state_dict(net(2)), strict=True)
    assert tensors["b"].tolist() == [2, 2]


def test_layouts_turn_its_arrays() -> None:
    ours = Layout("made-up", [Row("w.{i}", "body.{i}.w"), Row("b", "b")])
    rows = [Row("w.{i}", "layers.{i}.w", Transpose()), Row("b", "b")]
    theirs = Layout("turned", rows, base=ours.canonical)
    turned = to_layout(get_state_dict(net(4)), theirs, from_layout=ours)
    assert turned["layers.0.w"].shape == (3, 2)
    model = net()
    load_state_dict(model, to_layout(turned, ours, from_layout=theirs), strict=True)
    assert numbers(model) == numbers(net(4))


def test_a_snapshot_and_a_copy_stay_apart() -> None:
    model = net(1)
    before = snapshot(model)
    load_state_dict(model, get_state_dict(net(2)))
    assert same_values(before["b"], np.ones(2, np.float16))
    assert numbers(copy.deepcopy(model)) == numbers(net(2))


def test_its_layers_are_those_of_torch_in_both_directions() -> None:
    theirs = torch.nn.ModuleDict({"in": torch.nn.Linear(3, 2), "out": torch.nn.Linear(2, 3)})
    ours = Net(
        **{
            name: Mixer(mix=Grid(np.ones(shape, "f4")), shift=Grid(np.ones(shape[1], "f4")))
            for name, shape in (("in", (3, 2)), ("out", (2, 3)))
        }
    )
    load_state_dict(ours, to_layout(get_state_dict(theirs), between(theirs, ours)), strict=True)
    held = as_array(Numpy(), get_state_dict(ours)["in.mix"])
    assert np.array_equal(held, theirs["in"].weight.detach().numpy().T)
    back = to_layout(get_state_dict(ours), between(ours, theirs))
    assert same_values(back["out.weight"], theirs["out"].weight)

"""Training does not change a snapshot, which is a copy; it changes get_state_dict's view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from caten_sd.extend import Numpy, as_array, spec, to_state_dict
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.loading.load import load_state_dict
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.snapshot import snapshot
from caten_sd.state.state_dict import StateDict


def trained(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]])).square()[0].sum().backward()
    optimizer.step()


def test_training_changes_the_view_and_not_the_snapshot() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before, view = snapshot(model), get_state_dict(model)
    kept = {key: leaf.clone() for key, leaf in model.state_dict().items()}
    trained(model)
    assert all(torch.equal(before[key], leaf) for key, leaf in kept.items())
    assert not torch.equal(view["0.weight"], kept["0.weight"])
    assert view["1.num_batches_tracked"].item() == 1
    load_state_dict(model, before, strict=True)
    assert torch.equal(model[0].weight, kept["0.weight"])


class Stored:
    """A leaf of a type that is taught only what saving needs."""

    def __init__(self, values: list[float]) -> None:
        self.values = np.array(values)


to_state_dict.register(Stored)(lambda obj, parent: [(parent, obj)])
spec.register(Stored)(lambda leaf: spec(leaf.values))
as_array.register(Numpy, Stored)(lambda kind, leaf: leaf.values)


def test_a_leaf_that_is_taught_no_replacement_is_copied_as_numpy() -> None:
    model = {"a": Stored([1, 2])}
    before = snapshot(model)
    model["a"].values += 1
    assert before["a"].tolist() == [1, 2]
    assert isinstance(before["a"], np.ndarray)


def test_its_leaves_are_plain_and_share_no_memory() -> None:
    model = nn.Linear(2, 2)
    copy = snapshot(model)
    assert all(type(leaf) is torch.Tensor and not leaf.requires_grad for leaf in copy.values())
    assert copy["weight"].data_ptr() != model.weight.data_ptr()


def test_ties_and_paths_stay() -> None:
    model = {"a": {"w": np.ones(2)}, "b": np.zeros(1)}
    model["c"] = model["a"]["w"]
    copy = snapshot(model)
    assert copy["c"] is copy["a.w"]
    assert copy.ties == {"c": "a.w"}
    assert copy.paths["a.w"] == ["a", "w"]


def test_extra_state_is_copied_too() -> None:
    class Extra(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = {"n": [1]}

        def get_extra_state(self) -> dict[str, list[int]]:
            return self.table

    model = Extra()
    copy = snapshot(model)
    model.table["n"].append(2)
    assert copy["_extra_state"] == {"n": [1]}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.dcp", "w.gguf"])
def test_a_file_is_read_into_arrays_of_its_own(tmp_path: Path, name: str) -> None:
    written = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.ones(2, np.float32),
    }
    write_state_dict(written, tmp_path / name)
    with read_state_dict(tmp_path / name) as file:
        kept = snapshot(file)
    assert {key: leaf.tolist() for key, leaf in kept.items()} == {
        key: leaf.tolist() for key, leaf in written.items()
    }


@pytest.mark.parametrize(
    "take", [get_state_dict, snapshot, lambda state: state.with_entry({**state})]
)
def test_what_lies_beside_the_tree_stays(take: Callable[[StateDict], StateDict]) -> None:
    """All of it: each of these lost something else."""
    beside = {"metadata": {"caten_sd.layout": "hf-gpt2"}, "others": {"o": 1}, "rest": {"r": 2}}
    more = {"origin": "npz", "config": {"a": 1}, "imports": {"a.b": True}}
    given = StateDict({"a.w": np.zeros(2), "b": np.ones(2)}, **beside, **more)
    found = take(given)
    assert {k: v.tolist() for k, v in found.items()} == {"a.w": [0, 0], "b": [1, 1]}
    assert {name: getattr(found, name) for name in (*beside, *more)} == {**beside, **more}


def test_the_layout_of_other_keys_is_not_that_of_these() -> None:
    said = {"caten_sd.layout": "mine", "note": "kept"}
    given = StateDict({"a": np.ones(1)}, metadata=said)
    found = get_state_dict(given, key_mapper=lambda path: f"mine.{path[0]}")
    assert (list(found), found.metadata) == (["mine.a"], {"note": "kept"})

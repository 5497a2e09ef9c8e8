"""Models whose slots declare keys, against torch models that have those keys."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from caten_sd.errors import LoadError, StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.loading.load import load_state_dict, plan_load
from caten_sd.loading.report import Outcome
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Row
from caten_sd.nn import Linear, Module, buffer, slot
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.snapshot import snapshot
from caten_sd.training.training_state import TrainingState


@attrs.define
class Net(Module):
    """The slots of ``Theirs``, in its order and under its keys."""

    c_0: Linear = slot(key="MLP.0", factory=lambda: Linear(3, 4))
    c_2: Linear = slot(key="MLP.2", factory=lambda: Linear(4, 2))
    lambda_: Linear = slot(key="lambda", factory=lambda: Linear(2, 2))
    mean: Tensor = buffer(key="stats.mean", factory=lambda: torch.zeros(2))


class Theirs(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = {"0": torch.nn.Linear(3, 4), "1": torch.nn.ReLU(), "2": torch.nn.Linear(4, 2)}
        self.MLP = torch.nn.Sequential(OrderedDict(layers))
        self.add_module("lambda", torch.nn.Linear(2, 2))
        self.stats = torch.nn.Module()
        self.stats.register_buffer("mean", torch.ones(2))


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return list(left) == list(right) and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_torch_loads_and_ours_loads_into_torch(
    adopt: bool, prefix: str, tmp_path: Path
) -> None:
    theirs, ours = Theirs(), Net()
    save_file({prefix + k: v for k, v in theirs.state_dict().items()}, tmp_path / "a.safetensors")
    load_state_dict(ours, read_state_dict(tmp_path / "a.safetensors"), strict=True, assign=adopt)
    assert same(get_state_dict(ours).entry, theirs.state_dict())
    other = Theirs()
    write_state_dict(get_state_dict(ours), tmp_path / "b.safetensors")
    other.load_state_dict(load_file(tmp_path / "b.safetensors"), strict=True)
    assert same(other.state_dict(), theirs.state_dict())


def test_a_plan_names_slots_by_their_declared_keys() -> None:
    state = dict(Theirs().state_dict())
    del state["lambda.bias"]
    state |= {"c_0.weight": torch.zeros(4, 3), "MLP.2.bias": torch.zeros(9)}
    plan = plan_load(Net(), state)
    kinds = (Outcome.MISSING, Outcome.UNEXPECTED, Outcome.SHAPE)
    found = [[row.key for row in plan.of(kind)] for kind in kinds]
    assert found == [["lambda.bias"], ["c_0.weight"], ["MLP.2.bias"]]
    with pytest.raises(LoadError, match=r"lambda\.bias"):
        load_state_dict(Net(), state, strict=True)


@pytest.mark.parametrize("adopt", [False, True])
def test_ties_between_declared_keys_hold(adopt: bool) -> None:
    model = Net()
    model.lambda_.weight = model.c_2.weight = torch.nn.Parameter(torch.zeros(2, 4))
    assert get_state_dict(model).ties == {"lambda.weight": "MLP.2.weight"}
    state = {**get_state_dict(Net()), "MLP.2.weight": torch.ones(2, 4)}
    state["lambda.weight"] = state["MLP.2.weight"]
    load_state_dict(model, state, strict=True, assign=adopt)
    assert model.lambda_.weight is model.c_2.weight
    assert (model.c_2.weight == 1).all()


def test_a_layout_has_rows_for_declared_keys() -> None:
    ours = Layout("ours", rows=[Row("MLP.{i}.weight"), Row("lambda.weight")])
    rows = [Row("MLP.{i}.weight", "fc.{i}.kernel", Transpose()), Row("lambda.weight", "o.w")]
    other = Layout("other", base=ours, rows=rows)
    state = get_state_dict(Net())
    state = state.with_entry({k: leaf for k, leaf in state.items() if k.endswith("weight")})
    there = to_layout(state, other, from_layout=ours)
    assert {key: tuple(leaf.shape) for key, leaf in there.items()} == {
        "fc.0.kernel": (3, 4),
        "fc.2.kernel": (4, 2),
        "o.w": (2, 2),
    }
    back, model = to_layout(there, ours, from_layout=other), Net()
    load_state_dict(model, back, silent=True)
    assert all(torch.equal(get_state_dict(model)[key], leaf) for key, leaf in state.items())


def test_a_wrapper_in_a_slot_with_a_declared_key_is_undone() -> None:
    @attrs.define
    class Wrapped(Module):
        c_0: torch.nn.Module = slot(
            key="MLP.0", factory=lambda: torch.nn.DataParallel(torch.nn.Linear(3, 4))
        )

    model, theirs = Wrapped(), torch.nn.Linear(3, 4)
    for name in ("MLP.0", "MLP.0.module"):
        state = {f"{name}.{key}": leaf for key, leaf in theirs.state_dict().items()}
        load_state_dict(model, state, strict=True, assign=True)
        assert same(model.c_0.module.state_dict(), theirs.state_dict())


def test_everything_else_that_a_model_does_knows_the_keys() -> None:
    model = Net()
    keys = list(Theirs().state_dict())
    assert [key for key, _ in model.named_parameters()] == keys[:-1]
    assert list(snapshot(model)) == keys
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same(get_state_dict(again).entry, get_state_dict(model).entry)
    assert model.to(torch.float64).mean.dtype == torch.float64
    assert "lambda_=Linear(...)" in repr(model)
    training = TrainingState(model, torch.optim.AdamW(model.parameters()), step=1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    training.optimizer.step()
    saved = snapshot(training)
    assert any("MLP.0.weight" in key and "exp_avg" in key for key in saved)
    fresh = Net().to(torch.float64)
    other = TrainingState(fresh, torch.optim.AdamW(fresh.parameters()))
    load_state_dict(other, saved, strict=True)
    assert same(get_state_dict(fresh).entry, get_state_dict(model).entry)


def test_two_slots_with_one_key_can_still_be_printed() -> None:
    @attrs.define
    class Clash(Module):
        a: Tensor = slot(key="x", factory=lambda: torch.zeros(2))
        b: Tensor = slot(key="x", factory=lambda: torch.zeros(3))

    assert repr(Clash()) == "Clash(a=<float32 (2,)>, b=<float32 (3,)>)"
    with pytest.raises(StateDictError, match="a and b of Clash"):
        get_state_dict(Clash())


def test_a_model_on_the_meta_device_is_filled_under_its_declared_keys() -> None:
    model, theirs = Net().to("meta"), Theirs()
    load_state_dict(model, theirs.state_dict(), strict=True)
    assert same(get_state_dict(model).entry, theirs.state_dict())

"""Modules of tinygrad, whose own get_state_dict, load_state_dict and loaders are the oracle."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import (
    TrainingState,
    get_state_dict,
    load,
    load_state_dict,
    plan_load,
    read_state_dict,
    save,
    verify,
    with_state,
)
from caten_sd.errors import LoadError, NoApplicableMethodError, StateDictError
from caten_sd.objects.owner import slots_of

tinygrad = pytest.importorskip(
    "tinygrad", reason="tinygrad is not installed: pip install 'caten-sd[tinygrad]'"
)
Tensor, TinyJit = tinygrad.Tensor, tinygrad.TinyJit
nn, helpers = pytest.importorskip("tinygrad.nn"), pytest.importorskip("tinygrad.helpers")


class Block:
    def __init__(self) -> None:
        self.linear = nn.Linear(2, 2)
        self._private = Tensor.rand(2)

    def __call__(self, x: Any) -> Any:
        return self.linear(x)


class Net:
    def __init__(self, seed: int) -> None:
        Tensor.manual_seed(seed)
        self.blocks = [Block(), Block()]
        self.norm = nn.BatchNorm(2)
        self.table = {"half": Tensor.rand(3).cast("bfloat16"), "list": [Tensor.rand(1), None, 3]}
        self.tied = self.blocks[0].linear.weight
        self.name, self.function = "net", np.tanh
        self.cell = nn.LSTMCell(2, 3)

    def __call__(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


def flat(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = nn.state.get_state_dict(model)
    return found


def are_equal(one: Any, other: Any) -> bool:
    ours, theirs = flat(one), flat(other)
    return ours.keys() == theirs.keys() and all(
        leaf.dtype == theirs[key].dtype
        and np.array_equal(leaf.float().numpy(), theirs[key].float().numpy())
        for key, leaf in ours.items()
    )


def test_the_state_is_that_of_tinygrad_by_name_and_object() -> None:
    model = Net(0)
    state = get_state_dict(model)
    assert list(state) == list(flat(model))
    assert all(state[key] is leaf for key, leaf in flat(model).items())
    assert state.ties == {"tied": "blocks.0.linear.weight"}
    kinds = {name: kind for name, _, kind in slots_of(model.norm) or ()}
    assert {name for name, kind in kinds.items() if kind == "buffer"} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_what_a_captured_function_holds_is_no_state() -> None:
    model = Net(0)
    model.jitted = TinyJit(lambda x: model.blocks[0](x).realize())  # type: ignore[attr-defined]
    for _ in range(3):
        model.jitted(Tensor(np.ones((1, 2), np.float32)).realize())  # type: ignore[attr-defined]
    assert not [key for key in get_state_dict(model) if key.startswith("jitted")]


@pytest.mark.parametrize("options", [{}, {"assign": True}])
def test_a_load_gives_the_same_model(options: dict[str, Any]) -> None:
    old, new = Net(1), Net(2)
    assert load_state_dict(new, get_state_dict(old), strict=True, **options) is new
    assert are_equal(old, new)
    assert new.tied is new.blocks[0].linear.weight


def test_with_state_gives_a_model_with_buffers_of_its_own() -> None:
    old, other = Net(1), Net(2)
    new = with_state(old, get_state_dict(other), strict=True)
    assert are_equal(new, other)
    assert are_equal(old, Net(1))
    part = with_state(old, {"norm.weight": np.ones(2, np.float32)}, silent=True)
    part.cell.bias_ih.assign(part.cell.bias_ih + 1).realize()
    assert are_equal(old, Net(1))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"norm.weight": np.ones(3, "f4")}, "another shape"),
        ({"norm.weight": np.ones((1, 2), "f4")}, "another shape"),
        ({"norm.wight": np.ones(2, "f4")}, "norm.wight"),
    ],
)
def test_wrong_shapes_and_unknown_names_are_refused(wrong: dict[str, Any], said: str) -> None:
    model = Net(1)
    file = {**get_state_dict(Net(2)), **wrong}
    assert not plan_load(model, file).fits
    with pytest.raises(LoadError, match=said):
        load_state_dict(model, file, strict=True)
    assert are_equal(model, Net(1))


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_files_of_either_side_are_read_by_the_other(tmp_path: Path, suffix: str) -> None:
    old, path = Net(1), str(tmp_path / f"w.{suffix}")
    save(old, path)
    found = (nn.state.safe_load if suffix == "safetensors" else nn.state.torch_load)(path)
    for key, leaf in found.items():
        assert np.array_equal(leaf.to(None).float().numpy(), flat(old)[key].float().numpy())
    assert are_equal(load(Net(2), path, strict=True), old)
    if suffix == "safetensors":
        theirs = str(tmp_path / "theirs.safetensors")
        nn.state.safe_save(flat(old), theirs)
        with read_state_dict(theirs) as state:
            assert list(state) == list(flat(old))
        assert are_equal(load(Net(2), theirs, strict=True), old)
        new = Net(2)
        nn.state.load_state_dict(new, nn.state.safe_load(theirs), verbose=False)
        assert are_equal(new, old)


@pytest.mark.parametrize("parts", [
    lambda model, optimizer: {"model": model, "optimizer": optimizer}, TrainingState,
])  # fmt: skip
def test_a_training_goes_on_from_a_file(parts: Any, tmp_path: Path) -> None:
    def run(model: Any, optimizer: Any) -> None:
        with helpers.Context(TRAINING=1):
            optimizer.zero_grad()
            (model(Tensor(np.ones((1, 2), np.float32))) ** 2).sum().backward()
            optimizer.step()

    def made(seed: int) -> tuple[Any, Any]:
        Tensor.manual_seed(seed)
        model = nn.Linear(2, 2)
        return model, nn.optim.Adam(nn.state.get_parameters(model))

    (model, optimizer), (other, other_optimizer) = made(1), made(2)
    run(model, optimizer)
    assert list(get_state_dict(optimizer)) == list(flat(optimizer))
    save(parts(model, optimizer), tmp_path / "run.safetensors")
    load(parts(other, other_optimizer), tmp_path / "run.safetensors", strict=True)
    run(model, optimizer)
    run(other, other_optimizer)
    assert are_equal(model, other)


def test_verify_names_the_layer_where_two_models_part() -> None:
    one, x = Net(1), Tensor(np.ones((1, 2), np.float32)).realize()
    Tensor.realize(*flat(one).values())
    other = copy.deepcopy(one)
    assert verify(one, other, inputs=[x]).parting is None
    bias = other.blocks[1].linear.bias
    bias.replace(bias + 1)
    found = verify(one, other, inputs=[x])
    assert found.parting is not None
    assert found.compared[found.parting].a == "blocks.1.linear"
    assert type(one.blocks[1]) is Block


def test_a_plain_class_of_a_module_that_does_not_use_tinygrad_is_named() -> None:
    model = type("Other", (), {"__module__": "pathlib"})()
    model.w = Tensor.zeros(2)
    with pytest.raises(NoApplicableMethodError, match=r"to_state_dict\.register\(Other\)"):
        get_state_dict(model)


class Holder:
    def __init__(self, value: Any) -> None:
        self.library, self.values = np, value


@pytest.mark.parametrize("value", [np.ones(2), torch.ones(2)])
def test_an_array_of_another_world_is_no_state_and_none_is_passed_over(value: Any) -> None:
    assert flat_keys(Holder(value)) == list(get_state_dict(Holder(value))) == []
    for held in ([value], {"deeper": (Tensor.ones(1), [value])}):
        with pytest.raises(StateDictError, match=r"values.* of Holder .*tinygrad does not count"):
            get_state_dict(Holder(held))


@dataclasses.dataclass
class Declared:
    weight: Any


def test_declared_classes_in_a_list_are_counted() -> None:
    model = Holder([Declared(Tensor.ones(1))])
    del model.library
    assert list(get_state_dict(model)) == list(flat(model)) == ["values.0.weight"]


def flat_keys(model: Any) -> list[str]:
    del model.library  # on which tinygrad's own walk fails
    return list(flat(model))

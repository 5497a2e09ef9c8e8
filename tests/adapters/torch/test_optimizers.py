"""torch's optimizers: resumed bit for bit, and loaded by name in any order and grouping."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adafactor, Adam, AdamW, Optimizer

from caten_sd import (
    StateDictError,
    TrainingState,
    get_state_dict,
    load_state_dict,
    read_state_dict,
    write_state_dict,
)
from tests.training.runs import Net, assert_same, train, trained, training, unbroken_and_resumed

SUFFIXES = (".safetensors", ".npz", ".pt")
SUITED = {"Muon": "a matrix each", "SparseAdam": "sparse gradients"}
KINDS = [
    kind
    for name, kind in inspect.getmembers(torch.optim, inspect.isclass)
    if issubclass(kind, Optimizer) and kind is not Optimizer and name not in SUITED
]
VARIANTS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    *((kind, {}) for kind in KINDS),
    (SGD, {"momentum": 0.9, "nesterov": True, "lr": 0.1}),
    (SGD, {"momentum": 0.9, "foreach": True, "lr": 0.1}),
    (SGD, {"momentum": 0.9, "fused": True, "lr": 0.1}),
    (Adam, {"amsgrad": True}),
    (Adam, {"fused": True}),
    (AdamW, {"amsgrad": True, "foreach": True}),
    (AdamW, {"fused": True, "amsgrad": True}),
    (AdamW, {"lr": torch.tensor(0.01)}),
    (Adafactor, {"foreach": True, "lr": 0.1}),
    (torch.optim.Adagrad, {"fused": True}),
    (torch.optim.RMSprop, {"centered": True, "momentum": 0.5}),
    (torch.optim.LBFGS, {"max_iter": 3, "line_search_fn": "strong_wolfe"}),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=lambda v: getattr(v, "__name__", None))
def test_resumed_equals_uninterrupted(
    kind: type[Optimizer], options: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"run{suffix}"
    assert_same(*unbroken_and_resumed(file, lambda: training(kind, **options), train))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_in_float64_keeps_the_dtype_of_each_slot(
    kind: type[Optimizer], suffix: str, tmp_path: Path
) -> None:
    double = torch.float64

    def go(made: TrainingState, until: int) -> None:
        train(made, until, double)

    make: Callable[[], TrainingState] = lambda: training(kind, dtype=double)  # noqa: E731
    assert_same(*unbroken_and_resumed(tmp_path / f"run{suffix}", make, go))


def test_every_optimizer_of_torch_is_tested_or_named() -> None:
    assert {kind.__name__ for kind in KINDS} | set(SUITED) == {
        name
        for name, kind in inspect.getmembers(torch.optim, inspect.isclass)
        if issubclass(kind, Optimizer) and kind is not Optimizer
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_muon_and_sparse_adam(suffix: str, tmp_path: Path) -> None:
    muon = getattr(torch.optim, "Muon", None)
    if muon is not None:

        def matrices() -> TrainingState:
            net = nn.Sequential(Net())
            net[0].inner.bias.requires_grad_(False)
            return TrainingState(net, muon([p for p in net.parameters() if p.ndim == 2], lr=0.1))

        assert_same(*unbroken_and_resumed(tmp_path / f"a{suffix}", matrices, train))

    class Looked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table = nn.Embedding(5, 2, sparse=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.table(x.abs().long() % 5)

    def sparse() -> TrainingState:
        net = Looked()
        return TrainingState(net, torch.optim.SparseAdam(list(net.parameters())))

    assert_same(*unbroken_and_resumed(tmp_path / f"b{suffix}", sparse, train))


def test_keys_are_by_name() -> None:
    state = get_state_dict(trained())
    assert list(state) == [
        "model.inner.weight", "model.inner.bias", "model.outer.weight",
        *(f"optimizer.state.{name}.{slot}"
          for name in ("inner.weight", "inner.bias", "outer.weight")
          for slot in ("step", "exp_avg", "exp_avg_sq")),
        "optimizer.values", "step",
    ]  # fmt: skip
    assert state.paths["optimizer.state.inner.bias.step"] == [
        "optimizer", "state", "inner.bias", "step",
    ]  # fmt: skip


def test_leaves_are_the_optimizers_own() -> None:
    made = trained()
    state = get_state_dict(made)
    weight = made.model.inner.weight
    moment = state["optimizer.state.inner.weight.exp_avg"]
    assert moment is made.optimizer.state[weight]["exp_avg"]
    assert state["model.inner.weight"] is weight


# Failure case 10, pytorch#1489 and #3852: moments went to the wrong parameter.


def test_case_10_moments_follow_the_name_in_another_order() -> None:
    saved = trained()
    net = Net()
    resumed = TrainingState(net, AdamW(reversed(list(net.parameters()))))
    load_state_dict(resumed, get_state_dict(saved), strict=True)
    for name, param in net.named_parameters():
        there = saved.optimizer.state[saved.model.get_parameter(name)]
        assert torch.equal(resumed.optimizer.state[param]["exp_avg"], there["exp_avg"])
    train(saved, 6)
    train(resumed, 6)
    for name, param in net.named_parameters():
        assert torch.equal(param, saved.model.get_parameter(name))


def test_an_optimizer_alone_knows_names_if_it_was_built_with_them(tmp_path: Path) -> None:
    one, other = Net(), Net()
    saved = Adam(one.named_parameters())
    train(TrainingState(one, saved), 2)
    state = get_state_dict(saved)
    assert "state.inner.weight.exp_avg" in state
    write_state_dict(state, tmp_path / "adam.safetensors")
    resumed = Adam(reversed(list(other.named_parameters())), lr=5.0)
    load_state_dict(resumed, read_state_dict(tmp_path / "adam.safetensors"), strict=True)
    assert resumed.param_groups[0]["lr"] == 0.001
    moment = resumed.state[other.outer.weight]["exp_avg"]
    assert torch.equal(moment, saved.state[one.outer.weight]["exp_avg"])


def test_an_optimizer_alone_without_names_is_refused_with_the_remedy() -> None:
    with pytest.raises(StateDictError, match=r"AdamW.*TrainingState\(model, optimizer\)"):
        get_state_dict(trained().optimizer)


def test_moments_keep_the_strides_of_their_parameter() -> None:
    net = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    made = TrainingState(net, SGD(net.parameters(), momentum=0.9))
    for param in net.parameters():
        param.grad = torch.ones_like(param)
    made.optimizer.step()
    here = made.optimizer.state[net.weight]["momentum_buffer"].stride()
    load_state_dict(made, get_state_dict(made), strict=True)
    assert made.optimizer.state[net.weight]["momentum_buffer"].stride() == here


def test_a_parameter_that_is_not_in_the_model() -> None:
    net = Net()
    made = TrainingState(net, SGD([*net.parameters(), nn.Parameter(torch.zeros(7))]))
    with pytest.raises(StateDictError, match=r"group 0 of the SGD.*\[7\].*Net.*pass the model"):
        get_state_dict(made)

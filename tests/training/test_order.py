"""Files that know parameters by position only: refused, unless the order is proven."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from caten_sd import (
    LoadError,
    TrainingState,
    get_state_dict,
    load_state_dict,
    name_positions,
    plan_load,
    read_state_dict,
)
from tests.training.runs import Net, train, trained, training


def equal_shapes(*names: str) -> TrainingState:
    net = nn.ParameterDict([(name, torch.full((2, 2), 1.0)) for name in names])
    made = TrainingState(net, Adam(net.parameters()))
    for n, param in enumerate(net.values()):
        param.grad = torch.full_like(param, n + 1.0)
    made.optimizer.step()
    return made


def test_case_10_torch_itself_would_swap_them() -> None:
    one, other = equal_shapes("a", "b"), equal_shapes("b", "a")
    state = one.optimizer.state_dict()
    other.optimizer.load_state_dict(state)
    swapped = other.optimizer.state[other.model["b"]]["exp_avg"]
    assert torch.equal(swapped, one.optimizer.state[one.model["a"]]["exp_avg"])
    load_state_dict(other, get_state_dict(one), strict=True)
    mended = other.optimizer.state[other.model["b"]]["exp_avg"]
    assert torch.equal(mended, one.optimizer.state[one.model["b"]]["exp_avg"])


def test_case_10_positions_only_are_refused() -> None:
    made = equal_shapes("a", "b")
    before = made.optimizer.state_dict()
    file = {"model": made.model.state_dict(), "optimizer": copy.deepcopy(before), "step": 1}
    with pytest.raises(LoadError, match=r"by position only; 2 of 2 .*\(a, b\)") as e:
        load_state_dict(made, file)
    assert "name_positions" in str(e.value)
    assert "nothing was changed" in str(e.value)
    assert "\n" not in str(e.value)


def test_case_10_a_changed_order_is_named() -> None:
    saved = trained(SGD, momentum=0.9, lr=0.1).optimizer.state_dict()
    net = Net()
    net.extra = nn.Linear(3, 6, bias=False)
    params = [net.inner.weight, net.outer.weight, net.extra.weight]
    other = TrainingState(net, SGD(params, momentum=0.9))
    fact = r"2 of 3 parameters changed .* \(outer.weight, extra.weight\)"
    with pytest.raises(LoadError, match=f"by position only; {fact}"):
        plan_load(other, {"optimizer": saved, "model": net.state_dict()})


def test_positions_are_taken_where_shapes_prove_them() -> None:
    saved = trained()
    net = Net()
    other = TrainingState(net, AdamW(reversed(list(net.parameters()))))
    file = {"model": saved.model.state_dict(), "optimizer": saved.optimizer.state_dict(), "step": 3}
    plan = plan_load(other, file)
    assert "names are proven by shapes" in str(plan)
    plan.apply()
    train(saved, 5)
    train(other, 5)
    assert torch.equal(net.inner.weight, saved.model.inner.weight)


def test_positions_are_taken_where_they_make_no_difference() -> None:
    made = training(SGD, lr=0.1)
    file = {
        "model": made.model.state_dict(),
        "optimizer": training(SGD, lr=0.5).optimizer.state_dict(),
    }
    load_state_dict(made, {**file, "step": 0}, strict=True)
    assert made.optimizer.param_groups[0]["lr"] == 0.5


def test_another_number_of_positions_is_refused() -> None:
    net = Net()
    made = TrainingState(net, AdamW([net.inner.weight]))
    file = {"model": net.state_dict(), "optimizer": trained().optimizer.state_dict()}
    with pytest.raises(LoadError, match="3 parameters and this one 1"):
        plan_load(made, file)


def test_names_that_torch_saves_are_used() -> None:
    one, other = Net(), Net()
    saved = AdamW(one.named_parameters())
    train(TrainingState(one, saved), 2)
    resumed = TrainingState(other, AdamW(reversed(list(other.parameters()))))
    file = {"model": one.state_dict(), "optimizer": saved.state_dict(), "step": 2}
    load_state_dict(resumed, file, strict=True)
    for name, param in other.named_parameters():
        there = saved.state[one.get_parameter(name)]["exp_avg_sq"]
        assert torch.equal(resumed.optimizer.state[param]["exp_avg_sq"], there)


def test_whoever_knows_the_order_names_the_positions(tmp_path: Path) -> None:
    made, other = equal_shapes("a", "b"), equal_shapes("b", "a")
    torch.save({"model": made.model.state_dict(), "optimizer": made.optimizer.state_dict()},
               tmp_path / "run.pt")  # fmt: skip
    named = name_positions(read_state_dict(tmp_path / "run.pt", root="optimizer"), ["a", "b"])
    load_state_dict(other, {"model": made.model.state_dict(), "optimizer": named, "step": 1})
    moment = other.optimizer.state[other.model["b"]]["exp_avg"]
    assert torch.equal(moment, made.optimizer.state[made.model["b"]]["exp_avg"])
    with pytest.raises(LoadError, match="1 name is given for 2 positions"):
        name_positions(made.optimizer.state_dict(), ["a"])


def test_a_file_of_torch_is_read_flat(tmp_path: Path) -> None:
    made = trained(betas=(0.8, 0.9))
    torch.save({"model": made.model.state_dict(), "optimizer": made.optimizer.state_dict(),
                "step": 3}, tmp_path / "run.pt")  # fmt: skip
    resumed = training()
    load_state_dict(resumed, read_state_dict(tmp_path / "run.pt", root=""), strict=True)
    assert resumed.optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert resumed.step == 3
    train(made, 5)
    train(resumed, 5)
    assert torch.equal(made.model.outer.weight, resumed.model.outer.weight)

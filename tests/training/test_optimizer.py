"""Which parameter gets which state: groups, members, shapes, dtypes, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from caten_sd import (
    LoadError,
    LoadWarning,
    TrainingState,
    get_state_dict,
    load_state_dict,
    name_positions,
    plan_load,
)
from caten_sd.loading.report import Outcome
from tests.training.runs import Net, assert_same, train, trained, training


def test_another_kind_of_optimizer_is_refused() -> None:
    made = training(Adam)
    with pytest.raises(LoadError, match="of AdamW, and here is Adam; build AdamW"):
        load_state_dict(made, get_state_dict(trained(AdamW)))
    assert not made.optimizer.state


def groups(net: Net, lr: float, decay: float) -> TrainingState:
    weights = [net.inner.weight, net.outer.weight]
    parts = [{"params": [net.inner.bias], "weight_decay": 0.0},
             {"params": weights, "weight_decay": decay}]  # fmt: skip
    return TrainingState(net, AdamW(parts, lr=lr))


def test_hyperparameters_follow_the_members_of_a_group() -> None:
    saved = groups(Net(), 0.5, 0.25)
    net = Net()
    parts = [{"params": [net.outer.weight, net.inner.weight]}, {"params": [net.inner.bias]}]
    resumed = TrainingState(net, AdamW(parts))
    load_state_dict(resumed, get_state_dict(saved), strict=True)
    assert [g["weight_decay"] for g in resumed.optimizer.param_groups] == [0.25, 0.0]
    assert [g["lr"] for g in resumed.optimizer.param_groups] == [0.5, 0.5]


def test_groups_made_by_a_split_take_the_values_of_the_old_group() -> None:
    saved, net = trained(lr=0.5, weight_decay=0.125), Net()
    resumed = groups(net, 0.1, 0.1)
    plan = plan_load(resumed, get_state_dict(saved))
    assert plan.fits
    assert "2 groups and the file's 1 " in str(plan)
    plan.apply()
    assert [g["weight_decay"] for g in resumed.optimizer.param_groups] == [0.125, 0.125]


def test_a_group_made_by_a_merge_keeps_its_own_where_the_old_groups_disagree() -> None:
    saved, resumed = groups(Net(), 0.5, 0.25), training(lr=0.1, weight_decay=0.75)
    plan = plan_load(resumed, get_state_dict(saved))
    (row,) = plan.of(Outcome.MISSING)
    assert row.key == "optimizer.param_groups.0.weight_decay"
    assert row.note == "0.0, 0.25 in the file's groups that are one here; 0.75 stays"
    with pytest.raises(LoadError, match=r"0\.75 stays"):
        load_state_dict(resumed, get_state_dict(saved), strict=True)
    with pytest.warns(LoadWarning, match="weight_decay"):
        load_state_dict(resumed, get_state_dict(saved))
    (group,) = resumed.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.75)


def test_parameters_that_one_side_lacks_are_named() -> None:
    saved, net = trained(), Net()
    net.head = nn.Linear(3, 1, bias=False)
    resumed = TrainingState(net, AdamW([net.inner.weight, net.inner.bias, net.head.weight]))
    plan = plan_load(resumed, get_state_dict(saved))
    missing = {row.key for row in plan.of(Outcome.MISSING)}
    assert missing == {"model.head.weight", "optimizer.state.head.weight"}
    unexpected = {row.key for row in plan.of(Outcome.UNEXPECTED)}
    slots = ("step", "exp_avg", "exp_avg_sq")
    assert unexpected == {f"optimizer.state.outer.weight.{slot}" for slot in slots}
    load_state_dict(resumed, get_state_dict(saved), strict=True,
                    allow_missing="*head*", allow_unexpected="optimizer.state.outer*")  # fmt: skip
    assert list(resumed.optimizer.state) == [net.inner.weight, net.inner.bias]


def test_state_that_is_not_in_the_file_is_cleared() -> None:
    fresh, used = training(), trained()
    load_state_dict(used, get_state_dict(fresh), strict=True)
    train(fresh, 3)
    train(used, 3)
    assert_same(fresh, used)


def test_a_moment_of_another_shape_leaves_out_its_parameter() -> None:
    net = Net(width=5)
    resumed = TrainingState(net, AdamW(net.parameters()))
    plan = plan_load(resumed, get_state_dict(trained()))
    wrong = {row.key for row in plan.of(Outcome.SHAPE) if row.key.startswith("optimizer")}
    names = ("inner.weight", "inner.bias", "outer.weight")
    assert wrong == {f"optimizer.state.{n}.{s}" for n in names for s in ("exp_avg", "exp_avg_sq")}
    assert {row.key for row in plan.of(Outcome.SKIPPED)} == {
        f"optimizer.state.{n}.step" for n in names
    }


def test_moments_follow_the_dtype_of_their_parameter() -> None:
    saved, net = trained(), Net(dtype=torch.bfloat16)
    resumed = TrainingState(net, AdamW(net.parameters()))
    report = plan_load(resumed, get_state_dict(saved)).apply()
    slots = resumed.optimizer.state[net.inner.weight]
    assert [slots[s].dtype for s in ("exp_avg", "step")] == [torch.bfloat16, torch.float32]
    cast = [row for row in report.of(Outcome.CAST) if row.key.startswith("optimizer")]
    assert len(cast) == 6
    assert all(row.error for row in cast)
    train(resumed, 5, torch.bfloat16)


def test_names_of_a_wrapped_model_are_found() -> None:
    made = trained()
    wrapped = nn.DataParallel(made.model)
    other = TrainingState(wrapped, AdamW(wrapped.parameters()))
    state = get_state_dict(made)
    load_state_dict(other, state, strict=True)
    assert list(get_state_dict(other)) == list(state)
    tree = made.optimizer.state_dict()
    named = name_positions(tree, [f"module.{n}" for n, _ in made.model.named_parameters()])
    plan = plan_load(training(), {"model": made.model.state_dict(), "optimizer": named, "step": 3})
    assert plan.fits
    assert 'optimizer: stripped "module." from 3 keys' in plan.notes


def test_a_tied_parameter_has_one_state() -> None:
    def tied(first: str, second: str) -> TrainingState:
        torch.manual_seed(0)
        net = nn.ModuleDict({first: nn.Linear(2, 2, bias=False)})
        net[second] = nn.Linear(2, 2, bias=False)
        net[second].weight = net[first].weight
        return TrainingState(net, SGD(net.parameters(), momentum=0.9))

    one, other = tied("a", "b"), tied("b", "a")
    for param in one.model.parameters():
        param.grad = torch.ones_like(param)
    one.optimizer.step()
    assert "optimizer.state.a.weight.momentum_buffer" in get_state_dict(one)
    load_state_dict(other, get_state_dict(one), strict=True)
    moment = other.optimizer.state[other.model["a"].weight]["momentum_buffer"]
    assert torch.equal(moment, one.optimizer.state[one.model["a"].weight]["momentum_buffer"])


def test_a_state_that_depends_on_the_order_needs_that_order() -> None:
    made = trained(torch.optim.LBFGS)
    net = Net()
    other = TrainingState(net, torch.optim.LBFGS(reversed(list(net.parameters()))))
    with pytest.raises(LoadError, match=r"LBFGS .* order.* nothing was changed: give"):
        load_state_dict(other, get_state_dict(made))


def test_nothing_is_changed_if_the_model_refuses() -> None:
    made, saved = trained(), get_state_dict(trained())
    state = {key: leaf for key, leaf in saved.items() if not key.startswith("model")}
    before = copy.deepcopy(made.optimizer.state_dict())
    resumed_groups, resumed_state = made.optimizer.param_groups, made.optimizer.state
    broken = {**state, "model.inner.weight": torch.empty((6, 4), device="meta")}
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(made, broken, silent=True)
    assert made.optimizer.param_groups is resumed_groups
    assert made.optimizer.state is resumed_state
    assert str(made.optimizer.state_dict()) == str(before)
    assert made.step == 3


def test_nothing_is_changed_if_a_hook_refuses() -> None:
    made, saved = training(), get_state_dict(trained())

    def refuse(optimizer: Optimizer) -> None:
        raise RuntimeError("not today")

    made.optimizer.register_load_state_dict_post_hook(refuse)
    before = made.model.inner.weight.clone()
    with pytest.raises(LoadError, match=r"the AdamW refuses this state \(not today\)"):
        load_state_dict(made, saved)
    assert not made.optimizer.state
    assert torch.equal(made.model.inner.weight, before)


def test_a_moment_that_is_missing_from_the_file_is_named() -> None:
    saved = dict(get_state_dict(trained()))
    del saved["optimizer.state.inner.bias.exp_avg"]
    with pytest.raises(LoadError, match=r"state.inner.bias.exp_avg is missing from the file"):
        plan_load(training(), saved)


def test_what_is_not_the_state_of_an_optimizer() -> None:
    made = training()
    with pytest.raises(LoadError, match=r"optimizer does not hold .* state and param_groups"):
        plan_load(made, {"model": made.model.state_dict(), "optimizer": {"lr": 0.1}})


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Net()


def test_a_rename_of_the_model_holds_for_its_moments() -> None:
    saved, net = trained(), Body()
    resumed = TrainingState(net, AdamW(net.parameters()))
    load_state_dict(resumed, get_state_dict(saved), strict=True, rename={"model": "model.body"})
    moment = resumed.optimizer.state[net.body.inner.weight]["exp_avg"]
    assert torch.equal(moment, saved.optimizer.state[saved.model.inner.weight]["exp_avg"])
    clash = {"model.inner.weight": "model.outer.weight"}
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(training(), get_state_dict(saved), rename=clash)

"""torch's optimizers: gone on with, bit for bit; by name, whatever the order and the groups."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adafactor, Adam, AdamW, Optimizer

from caten_sd import (
    LoadError,
    LoadWarning,
    StateDictError,
    TrainingState,
    get_state_dict,
    load_state_dict,
    name_positions,
    plan_load,
    read_state_dict,
    write_state_dict,
)
from caten_sd.report import Outcome
from tests.training.runs import Net, assert_same, stopped_and_gone_on, train

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


def training(
    kind: Any = AdamW, dtype: torch.dtype = torch.float32, **options: Any
) -> TrainingState:
    net = Net(dtype=dtype)
    return TrainingState(net, kind(net.parameters(), **copy.deepcopy(options)))


def trained(kind: Any = AdamW, **options: Any) -> TrainingState:
    made = training(kind, **options)
    train(made, 3)
    return made


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=lambda v: getattr(v, "__name__", None))
def test_resumed_equals_uninterrupted(
    kind: type[Optimizer], options: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"run{suffix}"
    assert_same(*stopped_and_gone_on(file, lambda: training(kind, **options), train))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_in_float64_keeps_the_dtype_of_each_slot(
    kind: type[Optimizer], suffix: str, tmp_path: Path
) -> None:
    double = torch.float64

    def go(made: TrainingState, until: int) -> None:
        train(made, until, double)

    make: Callable[[], TrainingState] = lambda: training(kind, dtype=double)  # noqa: E731
    assert_same(*stopped_and_gone_on(tmp_path / f"run{suffix}", make, go))


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

        assert_same(*stopped_and_gone_on(tmp_path / f"a{suffix}", matrices, train))

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

    assert_same(*stopped_and_gone_on(tmp_path / f"b{suffix}", sparse, train))


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


# Case 10 of the users' pains, pytorch#1489 and #3852: moments went to the wrong parameter.


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
    with pytest.raises(LoadError, match="positions only; 2 of 2 parameters have a shape that") as e:
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
    said = r"2 of 3 parameters changed order or shape since the save \(outer.weight, extra.weight\)"
    with pytest.raises(LoadError, match=f"positions only; {said}"):
        plan_load(other, {"optimizer": saved, "model": net.state_dict()})


def test_positions_are_taken_where_shapes_prove_them() -> None:
    saved = trained()
    net = Net()
    other = TrainingState(net, AdamW(reversed(list(net.parameters()))))
    file = {"model": saved.model.state_dict(), "optimizer": saved.optimizer.state_dict(), "step": 3}
    plan = plan_load(other, file)
    assert "who is who is proven by shapes" in str(plan)
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
    with pytest.raises(LoadError, match="the file's optimizer has 3 parameters and this one 1"):
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


def test_an_optimizer_alone_without_names_says_what_it_needs() -> None:
    with pytest.raises(StateDictError, match="an AdamW alone knows no names of its parameters"):
        get_state_dict(trained().optimizer)


def test_whoever_knows_the_order_names_the_positions(tmp_path: Path) -> None:
    made, other = equal_shapes("a", "b"), equal_shapes("b", "a")
    torch.save({"model": made.model.state_dict(), "optimizer": made.optimizer.state_dict()},
               tmp_path / "run.pt")  # fmt: skip
    named = name_positions(read_state_dict(tmp_path / "run.pt", root="optimizer"), ["a", "b"])
    load_state_dict(other, {"model": made.model.state_dict(), "optimizer": named, "step": 1})
    moment = other.optimizer.state[other.model["b"]]["exp_avg"]
    assert torch.equal(moment, made.optimizer.state[made.model["b"]]["exp_avg"])
    with pytest.raises(LoadError, match="1 names are given for 2 positions"):
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


def test_another_kind_of_optimizer_is_refused() -> None:
    made = training(Adam)
    with pytest.raises(LoadError, match="of a AdamW in the file, and here is a Adam"):
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


def test_a_group_that_was_split_takes_the_values_of_the_whole() -> None:
    saved, net = trained(lr=0.5, weight_decay=0.125), Net()
    resumed = groups(net, 0.1, 0.1)
    plan = plan_load(resumed, get_state_dict(saved))
    assert plan.fits
    assert "2 groups hold other parameters together than the file's 1" in str(plan)
    plan.apply()
    assert [g["weight_decay"] for g in resumed.optimizer.param_groups] == [0.125, 0.125]


def test_groups_that_became_one_keep_what_they_disagree_on() -> None:
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


def test_state_that_the_file_has_not_is_cleared() -> None:
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


def test_moments_keep_the_order_of_memory_of_their_parameter() -> None:
    net = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    made = TrainingState(net, SGD(net.parameters(), momentum=0.9))
    for param in net.parameters():
        param.grad = torch.ones_like(param)
    made.optimizer.step()
    here = made.optimizer.state[net.weight]["momentum_buffer"].stride()
    load_state_dict(made, get_state_dict(made), strict=True)
    assert made.optimizer.state[net.weight]["momentum_buffer"].stride() == here


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


def test_a_state_that_speaks_of_order_wants_that_order() -> None:
    made = trained(torch.optim.LBFGS)
    net = Net()
    other = TrainingState(net, torch.optim.LBFGS(reversed(list(net.parameters()))))
    with pytest.raises(
        LoadError, match="the state of LBFGS speaks of its parameters in their order"
    ):
        load_state_dict(other, get_state_dict(made))


def test_a_parameter_that_is_none_of_the_model() -> None:
    net = Net()
    made = TrainingState(net, SGD([*net.parameters(), nn.Parameter(torch.zeros(7))]))
    with pytest.raises(
        StateDictError, match=r"a parameter in group 0 of the SGD, \[7\], is none of"
    ):
        get_state_dict(made)


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


def test_a_moment_that_is_gone_from_the_file_is_named() -> None:
    saved = dict(get_state_dict(trained()))
    del saved["optimizer.state.inner.bias.exp_avg"]
    with pytest.raises(LoadError, match=r"state.inner.bias.exp_avg is not in the file"):
        plan_load(training(), saved)


def test_what_is_no_optimizers_state() -> None:
    made = training()
    with pytest.raises(LoadError, match="optimizer holds no optimizer's state"):
        plan_load(made, {"model": made.model.state_dict(), "optimizer": {"lr": 0.1}})

"""Schedulers, gradient scalers and whatever else has a state are saved and loaded."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD
from torch.optim import lr_scheduler as schedulers

from caten_sd import (
    LoadError,
    StateDictError,
    TrainingState,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    write_state_dict,
)
from tests.training.runs import Net, assert_same, train, unbroken_and_resumed

Make = Callable[[Any], Any]
SUITED: dict[str, Make] = {
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda step: 0.9**step),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda step: 0.9),
    "StepLR": lambda o: schedulers.StepLR(o, 2),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [1, 4]),
    "ExponentialLR": lambda o: schedulers.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 8),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, 2),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, 0.1, total_steps=20),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=1),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.LinearLR(o), schedulers.StepLR(o, 2)]
    ),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.LinearLR(o), schedulers.StepLR(o, 2)], [2]
    ),
}
KINDS = [
    name
    for name, kind in inspect.getmembers(schedulers, inspect.isclass)
    if issubclass(kind, schedulers.LRScheduler) and not name.startswith("_")
    and kind is not schedulers.LRScheduler
]  # fmt: skip


def scheduled(kind: str) -> TrainingState:
    net = Net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.5)
    make = SUITED.get(kind) or getattr(schedulers, kind)
    return TrainingState(net, optimizer, make(optimizer))


def go(training: TrainingState, until: int) -> None:
    metric = [1.0] if isinstance(training.scheduler, schedulers.ReduceLROnPlateau) else []
    while training.step < until:
        train(training, training.step + 1)
        training.scheduler.step(*metric)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_goes_on(kind: str, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"run{suffix}"
    unbroken, resumed = unbroken_and_resumed(file, lambda: scheduled(kind), go)
    assert_same(unbroken, resumed)
    rates = [group["lr"] for group in unbroken.optimizer.param_groups]
    assert rates == [group["lr"] for group in resumed.optimizer.param_groups]


def test_a_scheduler_of_another_kind_is_refused() -> None:
    with pytest.raises(LoadError, match="of StepLR, and here is ExponentialLR; leave"):
        load_state_dict(scheduled("ExponentialLR"), get_state_dict(scheduled("StepLR")))


def test_a_scheduler_of_torch_is_taken_from_what_torch_saved(tmp_path: Path) -> None:
    saved, resumed = scheduled("SequentialLR"), scheduled("SequentialLR")
    go(saved, 4)
    file = {
        "model": saved.model.state_dict(),
        "optimizer": saved.optimizer.state_dict(),
        "scheduler": saved.scheduler.state_dict(),
        "step": 4,
    }
    load_state_dict(resumed, file, strict=True)
    go(saved, 7)
    go(resumed, 7)
    assert_same(saved, resumed)


def test_what_one_side_lacks_is_named() -> None:
    with_one, without = scheduled("StepLR"), scheduled("StepLR")
    without.scheduler = None
    plan = plan_load(with_one, get_state_dict(without))
    assert "scheduler.values" in str(plan)
    assert not plan.fits
    load_state_dict(with_one, get_state_dict(without), strict=True, allow_missing="scheduler.*")
    plan = plan_load(without, get_state_dict(with_one))
    assert not plan.fits
    load_state_dict(without, get_state_dict(with_one), strict=True, allow_unexpected="scheduler.*")


def test_nothing_is_changed_if_a_scheduler_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    saved, resumed = scheduled("StepLR"), scheduled("StepLR")
    go(saved, 3)
    before = resumed.model.inner.weight.clone()
    rule = type(resumed.scheduler).load_state_dict

    def refuse(scheduler: Any, state: dict[str, Any]) -> None:
        rule(scheduler, state)
        if state["last_epoch"] == 3:
            raise KeyError("gamma")

    monkeypatch.setattr(type(resumed.scheduler), "load_state_dict", refuse)
    with pytest.raises(LoadError, match=r"scheduler cannot be loaded \(KeyError: 'gamma'\)"):
        load_state_dict(resumed, get_state_dict(saved))
    assert resumed.scheduler.last_epoch == 0
    assert torch.equal(resumed.model.inner.weight, before)
    assert not resumed.optimizer.state
    assert resumed.step == 0


def test_a_gradient_scaler_is_saved_and_loaded(tmp_path: Path) -> None:
    net = Net()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    write_state_dict(get_state_dict(TrainingState(net, scaler=scaler)), tmp_path / "run.npz")
    other = TrainingState(Net(), scaler=torch.amp.GradScaler("cpu"))
    load_state_dict(other, read_state_dict(tmp_path / "run.npz"), strict=True)
    assert other.scaler.state_dict() == scaler.state_dict()
    assert other.scaler.get_scale() == 8.0


def test_what_has_no_state_cannot_be_a_component() -> None:
    with pytest.raises(StateDictError, match="float cannot be in a training state"):
        get_state_dict(TrainingState(Net(), scaler=0.5))


def test_what_no_file_can_hold_is_named() -> None:
    class Odd:
        def state_dict(self) -> dict[str, Any]:
            return {"rule": [print]}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise AssertionError

    with pytest.raises(StateDictError, match=r"'scheduler.state.rule.0' is a builtin_function"):
        get_state_dict(TrainingState(Net(), scheduler=Odd()))

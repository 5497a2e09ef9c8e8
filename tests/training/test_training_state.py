"""A training state as a state dict: its keys, its root, and the plan of loading it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

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
from caten_sd.loading.report import Outcome
from tests.training.runs import Net, assert_same, trained, training

SUFFIXES = (".safetensors", ".npz", ".pt", ".msgpack", ".dcp/", "/")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_root_takes_the_model_alone(suffix: str, tmp_path: Path) -> None:
    saved, net = trained(), Net(width=6)
    write_state_dict(get_state_dict(saved), f"{tmp_path}/run{suffix}")
    with read_state_dict(f"{tmp_path}/run{suffix}", root="model") as state:
        assert list(state) == list(saved.model.state_dict())
        load_state_dict(net, state, strict=True)
    assert torch.equal(net.inner.weight, saved.model.inner.weight)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_root_keeps_ties(suffix: str, tmp_path: Path) -> None:
    net = Net(width=4)
    net.outer = net.inner
    write_state_dict(get_state_dict(TrainingState(net)), f"{tmp_path}/run{suffix}")
    with read_state_dict(f"{tmp_path}/run{suffix}", root="model") as state:
        assert dict(state.ties) == {"outer.weight": "inner.weight", "outer.bias": "inner.bias"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_back_everything(suffix: str, tmp_path: Path) -> None:
    saved, other = trained(), training()
    write_state_dict(get_state_dict(saved), f"{tmp_path}/run{suffix}")
    with read_state_dict(f"{tmp_path}/run{suffix}") as state:
        load_state_dict(other, state, strict=True)
    assert_same(saved, other)


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    write_state_dict(get_state_dict(trained()), tmp_path / "run.npz")
    with pytest.raises(Exception, match="it has no tree 'mod'"):
        read_state_dict(tmp_path / "run.npz", root="mod")


@pytest.mark.filterwarnings("ignore:.*in the file, not in the model")
def test_a_model_asked_to_load_it_says_where_the_model_lies() -> None:
    saved, net = trained(), Net()
    state = get_state_dict(saved)
    plan = plan_load(net, state)
    assert plan.cause.startswith("the file is a training state")
    assert 'root="model"' in plan.cause
    names = {"model": net, "state_dict": state, "load_state_dict": load_state_dict}
    exec(plan.fix, names)
    assert torch.equal(net.inner.weight, saved.model.inner.weight)


def test_every_key_is_accounted_for() -> None:
    state = {**get_state_dict(trained()), "scaler.odd": np.zeros(2)}
    plan = plan_load(training(), state)
    assert [row.key for row in plan.rows if row.outcome is Outcome.UNEXPECTED] == ["scaler.odd"]
    assert {row.source for row in plan.rows} == set(state)
    assert plan.verdict == "14 of 14 slots of TrainingState fit; 1 in the file, not in the model"


def test_patterns_hold_for_all_components() -> None:
    made = training()
    model_only = {k: v for k, v in get_state_dict(trained()).items() if k.startswith("model.")}
    plan = plan_load(made, model_only, allow_missing=["optimizer.*", "step"])
    assert plan.fits
    assert not plan.notes
    plan = plan_load(made, model_only, allow_missing=["optimizer.*", "step", "nothing.*"])
    assert plan.notes == ["allow_missing 'nothing.*' matches no key of the model or the file"]


def test_a_load_of_nothing_is_an_error() -> None:
    with pytest.raises(LoadError, match="nothing would be loaded"):
        load_state_dict(training(), {"other": np.zeros(2)})


def test_a_model_alone_may_be_a_training_state() -> None:
    made = TrainingState(Net(), step=5)
    other = TrainingState(Net(width=6))
    load_state_dict(other, get_state_dict(made), strict=True)
    assert other.step == 5


def test_a_step_that_is_not_a_number() -> None:
    with pytest.raises(StateDictError, match=r"step of a training state .*0\.5; give int"):
        get_state_dict(TrainingState(Net(), step=0.5))  # type: ignore[arg-type]
    state = {**get_state_dict(TrainingState(Net())), "step": np.zeros(3, np.int64)}
    plan = plan_load(TrainingState(Net()), state)
    assert [row.key for row in plan.of(Outcome.SHAPE)] == ["step"]


@pytest.mark.parametrize("more", [{}, {"epoch": 3}], ids=["no step", "an epoch"])
@pytest.mark.filterwarnings("ignore::caten_sd.LoadWarning")  # the file has no step
def test_the_model_of_an_ordinary_checkpoint_alone_has_a_cause_and_a_line(
    more: dict[str, int], tmp_path: Path
) -> None:
    path, true = tmp_path / "c.pt", torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(true.named_parameters())
    true(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": true.state_dict(), "optimizer": optimizer.state_dict(), **more}, path)
    fresh = torch.nn.Linear(3, 2)
    state = TrainingState(fresh, torch.optim.Adam(fresh.named_parameters()))
    plan = plan_load(state, read_state_dict(path))
    assert "optimizer" in plan.cause
    assert 'root=""' in plan.cause
    names = {"model": state, "state_dict": read_state_dict(path)}
    exec(plan.fix, {**names, "load_state_dict": load_state_dict})
    assert torch.equal(fresh.weight, true.weight)
    assert state.optimizer is not None
    moments = [each["exp_avg"] for each in state.optimizer.state.values()]
    for mine, each in zip(moments, optimizer.state.values(), strict=True):
        assert torch.equal(mine, each["exp_avg"])

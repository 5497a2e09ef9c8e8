"""Components that are filled slot by slot, and parts that are replaced in the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import attrs
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
    snapshot,
    write_state_dict,
)
from caten_sd.errors import FormatError
from tests.training.runs import Net, assert_same, trained


class Moments(NamedTuple):
    count: Any
    mu: Any


@attrs.frozen
class Model:
    w: Any
    b: Any = None


def moments(value: float) -> Any:
    return (Moments(frozen(value), {"a.b": frozen(value), "'\"\\\n": frozen(value)}), ())


def frozen(value: float) -> Any:
    made = np.full(3, value, np.float32)
    made.flags.writeable = False
    return made


def make(value: float) -> TrainingState:
    average = {"w": np.full(2, value)}
    return TrainingState(
        Model(frozen(value)), moments(value), average, rng=torch.full((2,), value), step=int(value)
    )


def numbers(obj: Any) -> dict[str, Any]:
    return {key: np.asarray(leaf).tolist() for key, leaf in get_state_dict(obj).items()}


KEYS = ["model.w", "optimizer.0.count", "optimizer.0.mu.a.b", "optimizer.0.mu.'\"\\\n",
        "scheduler.w", "rng", "step"]  # fmt: skip


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".msgpack"])
def test_parts_that_cannot_be_changed_are_replaced_and_the_others_filled(
    tmp_path: Path, suffix: str
) -> None:
    training, saved = make(0), make(7)
    assert list(get_state_dict(saved)) == KEYS
    write_state_dict(get_state_dict(saved), tmp_path / f"run{suffix}")
    old, before = attrs.evolve(training), numbers((training.model, training.optimizer))
    with read_state_dict(tmp_path / f"run{suffix}") as file:
        load_state_dict(training, file, strict=True)
    assert numbers(training) == numbers(saved)
    assert training.scheduler is old.scheduler
    assert training.rng is old.rng
    assert type(training.optimizer[0]) is Moments
    assert numbers((old.model, old.optimizer)) == before
    load_state_dict(training, snapshot(make(3)), strict=True)
    assert numbers(training) == numbers(make(3))


def test_the_plan_says_what_will_be_new() -> None:
    plan = plan_load(make(0), get_state_dict(make(1)))
    assert plan.fits
    assert [note.partition(":")[0] for note in plan.notes] == ["model", "optimizer"]


def test_messages_name_the_training() -> None:
    plan = plan_load(TrainingState({"w": frozen(0)}), {"model.w": frozen(1), "step": 1})
    plan.apply()
    with pytest.raises(LoadError, match=r"model\.w of TrainingState changed after the plan"):
        plan.apply()


@pytest.mark.parametrize("key", KEYS[:-1])
def test_a_value_that_does_not_fit_changes_nothing(key: str) -> None:
    training, saved = make(0), dict(get_state_dict(make(1)))
    held = attrs.asdict(training, recurse=False)
    with pytest.raises(LoadError, match="nothing was changed"):
        load_state_dict(training, {**saved, key: np.zeros((9, 9))}, strict=True)
    assert numbers(training) == numbers(make(0))
    assert all(getattr(training, name) is value for name, value in held.items())


def test_a_file_that_is_cut_off_after_the_plan_changes_nothing(tmp_path: Path) -> None:
    training, path = make(0), tmp_path / "run.safetensors"
    write_state_dict(get_state_dict(make(1)), path)
    with read_state_dict(path) as file:
        plan = plan_load(training, file)
        with path.open("r+b") as handle:
            handle.truncate(path.stat().st_size - 16)
        with pytest.raises((LoadError, FormatError)):
            plan.apply()
    assert numbers(training) == numbers(make(0))


def test_keys_of_the_file_are_renamed_by_rules_for_the_whole_training() -> None:
    saved = {key.replace("model.", "net."): v for key, v in get_state_dict(make(5)).items()}
    saved["adam.count"] = saved.pop("optimizer.0.count")
    rules = {"net": "model", "adam": "optimizer.0"}
    plan = plan_load(make(0), saved, rename=rules)
    assert {row.source for row in plan.rows} == set(saved)
    assert len([note for note in plan.notes if "was renamed" in note]) == 2
    training = load_state_dict(make(0), saved, strict=True, rename=rules)
    assert numbers(training) == numbers(make(5))
    with pytest.raises(LoadError, match="'nothing' matches no key"):
        load_state_dict(make(0), saved, rename={**rules, "nothing": "model"})


def test_what_is_missing_is_allowed_by_a_pattern_of_any_part() -> None:
    saved = {k: v for k, v in get_state_dict(make(5)).items() if not k.startswith("optimizer")}
    plan = plan_load(make(0), saved, allow_missing=["optimizer.*"])
    assert plan.fits
    assert not [note for note in plan.notes if "matches no key" in note]
    with pytest.raises(LoadError, match=r"optimizer\.0\.count"):
        load_state_dict(make(0), saved, strict=True)


@attrs.define
class Average:
    w: Any
    decay: float = 0.9


@pytest.mark.parametrize("held", [
    Average(np.zeros(2)), [torch.optim.SGD(Net().parameters(), lr=1)], {"lr": 0.1}, [1], "x", 3,
    object(), [np.random.default_rng()], {"name": "adam", "w": np.zeros(1)},
])  # fmt: skip
def test_what_would_lose_a_value_is_refused(held: Any) -> None:
    training = TrainingState({"w": np.zeros(1)}, scheduler=held)
    with pytest.raises(StateDictError, match=r"state_dict\(\).*nothing but arrays"):
        get_state_dict(training)


def test_the_model_of_another_optimizer_is_never_replaced() -> None:
    """An optimizer of torch knows the very parameters of its model."""
    made = trained()
    training = TrainingState(made.model, made.optimizer, {"w": frozen(0)})
    model = training.model
    load_state_dict(training, get_state_dict(attrs.evolve(training, scheduler={"w": frozen(4)})))
    assert training.model is model
    assert training.scheduler["w"].tolist() == [4, 4, 4]
    assert_same(TrainingState(model, training.optimizer), TrainingState(model, made.optimizer))


def test_a_model_that_cannot_be_changed_with_an_optimizer_of_torch_is_refused() -> None:
    net = Net()
    training = TrainingState((frozen(0), net), torch.optim.SGD(net.parameters(), lr=1))
    saved = dict(get_state_dict(training))
    with pytest.raises(LoadError, match=r"model\.0: a tuple takes no new object"):
        load_state_dict(training, {**saved, "model.0": frozen(1)}, strict=True)

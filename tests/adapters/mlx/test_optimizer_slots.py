"""Optimizers of MLX: moments by name, and a step after a load that is bit for bit the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caten_sd import TrainingState, get_state_dict, load, load_state_dict, save

mx = pytest.importorskip("mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'")
nn, optimizers = pytest.importorskip("mlx.nn"), pytest.importorskip("mlx.optimizers")

X = mx.arange(12.0).reshape(4, 3) / 12


def both(rate: float) -> Any:
    parts = [optimizers.Adam(rate), optimizers.SGD(rate)]
    return optimizers.MultiOptimizer(parts, [lambda name, value: "bias" in name])


MAKERS = {
    "Adam": (optimizers.Adam, {"step", "learning_rate", "weight.m", "weight.v"}),
    "SGD": (optimizers.SGD, {"step", "weight.v"}),
    "Adafactor": (optimizers.Adafactor, {"weight.exp_avg_sq_row", "bias.exp_avg_sq"}),
    "MultiOptimizer": (both, {"states.0.bias.m", "states.1.weight.v"}),
}


def made(make: Callable[[float], Any], seed: int) -> tuple[Any, Any]:
    mx.random.seed(seed)
    model, optimizer = nn.Linear(3, 2), make(0.1)
    optimizer.init(model.trainable_parameters())
    return model, optimizer


def step(model: Any, optimizer: Any) -> None:
    _, gradients = nn.value_and_grad(model, lambda each: (each(X) ** 2).sum())(model)
    optimizer.update(model, gradients)
    mx.eval(model.parameters(), optimizer.state)


@pytest.mark.parametrize("name", MAKERS)
def test_a_run_goes_on_from_a_file(name: str, tmp_path: Path) -> None:
    make, names = MAKERS[name]
    model, optimizer = made(make, 1)
    step(model, optimizer)
    step(model, optimizer)
    assert names <= set(get_state_dict(optimizer))
    save(TrainingState(model=model, optimizer=optimizer, step=2), tmp_path / "run.safetensors")

    other, other_optimizer = made(make, 2)
    training = TrainingState(model=other, optimizer=other_optimizer)
    assert load(training, tmp_path / "run.safetensors", strict=True).step == 2
    step(model, optimizer)
    step(other, other_optimizer)
    assert mx.array_equal(model.weight, other.weight)
    assert mx.array_equal(model.bias, other.bias)


def test_assign_puts_the_arrays_of_another_optimizer_into_it() -> None:
    (_, one), (_, other) = made(optimizers.Adam, 1), made(optimizers.Adam, 2)
    load_state_dict(one, get_state_dict(other), assign=True)
    assert one.state["step"] is other.state["step"]

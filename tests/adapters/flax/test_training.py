"""Trainings of NNX, linen and optax: after a resume, the next steps are equal bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import (
    TrainingState,
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    write_state_dict,
)
from caten_sd.errors import LoadError, StateDictError
from caten_sd.extend import as_array
from caten_sd.state.leaf import Numpy

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

import flax
import jax
import optax
from flax import nnx

jnp = jax.numpy


def slow(kind: str) -> Any:
    return pytest.param(kind, marks=pytest.mark.slow)


def numbers(obj: Any, **options: Any) -> dict[str, Any]:
    return {
        key: as_array(Numpy(), leaf).tobytes()
        for key, leaf in get_state_dict(obj, **options).items()
    }


class Net(nnx.Module):  # type: ignore[misc]
    def __init__(self, seed: int) -> None:
        rngs = nnx.Rngs(seed)
        self.inner = nnx.Linear(4, 6, rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.outer = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.outer(self.drop(jnp.tanh(self.norm(self.inner(x)))))


OPTIMIZERS = {
    "adam": lambda: optax.adam(1e-2),
    "adamw with a schedule": lambda: optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(optax.cosine_decay_schedule(1e-2, 20), mu_dtype="bfloat16"),
    ),
    "sgd": lambda: optax.sgd(1e-2),
    "momentum": lambda: optax.sgd(1e-2, momentum=0.9, nesterov=True),
    "lion": lambda: optax.lion(1e-3),
    "adafactor": lambda: optax.adafactor(1e-2, min_dim_size_to_factor=2),
    "many steps in one": lambda: optax.MultiSteps(optax.adam(1e-2), 3),
    "injected": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "noise": lambda: optax.chain(optax.add_noise(0.1, 0.5, 7), optax.sgd(1e-2)),
    "parts": lambda: optax.partition(
        {"k": optax.adam(1e-2), "b": optax.rmsprop(1e-2)},
        lambda tree: jax.tree.map(lambda leaf: "b" if leaf.ndim == 1 else "k", tree),
    ),
}


def nnx_training(seed: int, kind: str) -> TrainingState:
    model = Net(seed)
    optimizer = nnx.Optimizer(model, OPTIMIZERS[kind](), wrt=nnx.Param)
    return TrainingState(model, optimizer, rng=nnx.Rngs(seed, noise=seed))


def train_nnx(training: TrainingState, until: int) -> None:
    while training.step < until:
        x = training.rng.noise.normal((5, 4))

        def loss(model: Any, x: Any = x) -> Any:
            return jnp.square(model(x) - 1).mean()

        training.optimizer.update(training.model, nnx.grad(loss)(training.model))
        training.step += 1


@pytest.mark.parametrize("kind", ["adam", *map(slow, sorted({*OPTIMIZERS} - {"adam"}))])
def test_an_optimizer_of_nnx_goes_on_as_if_it_had_not_stopped(tmp_path: Path, kind: str) -> None:
    options = {"include": "random"}
    unbroken, resumed = nnx_training(0, kind), nnx_training(1, kind)
    train_nnx(unbroken, 3)
    path = tmp_path / "run.safetensors"
    write_state_dict(get_state_dict(unbroken, **options), path)
    model, optimizer, rng = resumed.model, resumed.optimizer, resumed.rng
    with read_state_dict(path) as saved:
        load_state_dict(resumed, saved, strict=True, **options)
    assert resumed.model is model
    assert resumed.optimizer is optimizer
    assert resumed.rng is rng
    assert numbers(resumed, **options) == numbers(unbroken, **options)
    for each in (unbroken, resumed):
        train_nnx(each, 7)
    assert numbers(resumed, **options) == numbers(unbroken, **options)
    assert resumed.step == 7


def test_moments_have_the_names_of_their_parameters() -> None:
    assert {
        "model.inner.kernel", "model.norm.mean", "optimizer.opt_state.0.mu.inner.kernel",
        "optimizer.opt_state.0.count", "optimizer.step", "rng.noise.key", "rng.noise.count", "step",
    } < set(get_state_dict(nnx_training(0, "adam")))  # fmt: skip


def optax_training(seed: int, kind: str, frozen: bool = False) -> TrainingState:
    keys = jax.random.split(jax.random.key(seed), 2)
    params = {"a": {"w": jax.random.normal(keys[0], (4, 6)), "b": jnp.zeros(6)}}
    params["c"] = {"w": jax.random.normal(keys[1], (6, 3))}
    held = flax.core.freeze(params) if frozen else params
    return TrainingState(held, OPTIMIZERS[kind]().init(held), rng=jax.random.key(seed))


def train_optax(training: TrainingState, kind: str, until: int) -> None:
    while training.step < until:
        training.rng, key = jax.random.split(training.rng)
        x = jax.random.normal(key, (5, 4))

        def loss(p: Any, x: Any = x) -> Any:
            inner = jnp.tanh(x @ p["a"]["w"] + p["a"]["b"])
            return jnp.square(inner @ p["c"]["w"] - 1).mean()

        grads = jax.grad(loss)(training.model)
        made = OPTIMIZERS[kind]().update(grads, training.optimizer, training.model)
        training.model, training.optimizer = optax.apply_updates(training.model, made[0]), made[1]
        training.step += 1


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", ["adam", *map(slow, sorted({*OPTIMIZERS} - {"adam"}))])
def test_a_state_of_optax_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, kind: str, frozen: bool
) -> None:
    unbroken, resumed = optax_training(0, kind, frozen), optax_training(1, kind, frozen)
    train_optax(unbroken, kind, 3)
    write_state_dict(get_state_dict(unbroken), tmp_path / "run.npz")
    old = resumed.optimizer
    with read_state_dict(tmp_path / "run.npz") as saved:
        load_state_dict(resumed, saved, strict=True)
    assert numbers(resumed) == numbers(unbroken)
    assert jax.tree.structure(resumed.optimizer) == jax.tree.structure(old)
    for each in (unbroken, resumed):
        train_optax(each, kind, 7)
    assert numbers(resumed) == numbers(unbroken)


def test_what_cannot_be_changed_is_new_and_the_old_one_as_it_was() -> None:
    made = optax_training(0, "adam", frozen=True)
    model, optimizer = made.model, made.optimizer
    before = numbers((model, optimizer))
    saved = get_state_dict(optax_training(1, "adam", frozen=True))
    report = plan_load(made, saved).apply()
    assert numbers((model, optimizer)) == before
    assert numbers(made) == numbers(optax_training(1, "adam", frozen=True))
    assert [note.partition(":")[0] for note in report.notes] == ["model", "optimizer"]


def test_everything_or_nothing() -> None:
    saved = get_state_dict(optax_training(1, "adam"))
    for key in ("optimizer.0.nu.c.w", "model.c.w", "rng"):
        made = optax_training(0, "adam")
        before, held = numbers(made), (made.model, made.optimizer, made.rng)
        for wrong in (np.zeros((9, 9), "f4"), jax.ShapeDtypeStruct(saved[key].shape, "float32")):
            with pytest.raises(LoadError, match="nothing was changed"):
                load_state_dict(made, {**saved, key: wrong}, strict=True)
            assert numbers(made) == before
            assert (made.model, made.optimizer, made.rng) == held
        missing = {name: leaf for name, leaf in saved.items() if name != key}
        assert [row.key for row in plan_load(made, missing).rows if not row.leaf] == [key]


def test_another_optimizer_than_the_file_has_is_told_by_key() -> None:
    saved = get_state_dict(nnx_training(1, "momentum"))
    plan = plan_load(nnx_training(0, "adam"), saved)
    assert not plan.fits
    has = {row.outcome.name for row in plan.rows if row.key.startswith("optimizer.opt_state.0.")}
    assert has == {"MISSING", "UNEXPECTED"}


def test_a_dtype_is_the_models_alone_unless_it_has_patterns() -> None:
    saved = get_state_dict(optax_training(1, "adam"))
    made = load_state_dict(optax_training(0, "adam"), saved, strict=True, dtype="bfloat16")
    assert made.model["a"]["w"].dtype == jnp.bfloat16
    assert made.optimizer[0].mu["a"]["w"].dtype == jnp.float32
    given = {"optimizer.0.mu.*": "bfloat16"}
    made = load_state_dict(optax_training(0, "adam"), saved, strict=True, dtype=given)
    assert made.optimizer[0].mu["a"]["w"].dtype == jnp.bfloat16
    assert made.optimizer[0].nu["a"]["w"].dtype == jnp.float32


def test_the_scale_of_mixed_precision_has_numbers_and_is_replaced() -> None:
    from flax.training.dynamic_scale import DynamicScale

    made = [TrainingState({"w": np.zeros(1)}, scaler=DynamicScale(scale=n)) for n in (2.0, 4.0)]
    old, saved = made[0].scaler, get_state_dict(made[1])
    assert list(saved) == ["model.w", "scaler.fin_steps", "scaler.scale", "step"]
    load_state_dict(made[0], saved, strict=True)
    assert (made[0].scaler, old.scale) == (made[1].scaler, 2.0)


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(StateDictError, match=r"needs the methods.*slots"):
        get_state_dict(TrainingState({"w": jnp.zeros(1)}, open))

"""Trees of linen: dicts, frozen ones, boxes, train states, and the states of optax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import (
    get_state_dict,
    load_state_dict,
    read_state_dict,
    snapshot,
    with_state,
    write_state_dict,
)
from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.extend import as_array
from caten_sd.state.leaf import Numpy

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

import flax
import flax.linen as nn
import jax
import optax
from flax import nnx
from flax.core import meta
from flax.training.train_state import TrainState

jnp = jax.numpy


class Net(nn.Module):  # type: ignore[misc]
    @nn.compact
    def __call__(self, x: Any) -> Any:
        init = nn.with_partitioning(nn.initializers.lecun_normal(), ("a", "b"))
        x = nn.Dense(3, kernel_init=init, name="head-x")(x)
        return nn.BatchNorm(use_running_average=True)(x)


def variables(seed: int) -> Any:
    return Net().init(jax.random.key(seed), jnp.ones((1, 2)))


def numbers(tree: Any) -> dict[str, Any]:
    return {k: as_array(Numpy(), leaf).tolist() for k, leaf in get_state_dict(tree).items()}


@pytest.mark.parametrize("verb", [load_state_dict, with_state])
@pytest.mark.parametrize("suffix", ["safetensors", "msgpack"])
def test_variables_keep_their_names_and_boxes(tmp_path: Path, verb: Any, suffix: str) -> None:
    write_state_dict(get_state_dict(variables(1)), tmp_path / f"v.{suffix}")
    with read_state_dict(tmp_path / f"v.{suffix}") as file:
        assert "params.head-x.kernel" in file
        new = verb(variables(0), file, strict=True)
    box = new["params"]["head-x"]["kernel"]
    assert isinstance(box, meta.Partitioned)
    assert box.names == ("a", "b")
    assert numbers(new) == numbers(variables(1))
    x = jnp.ones((1, 2))
    assert np.array_equal(Net().apply(new, x), Net().apply(variables(1), x))


def test_a_frozen_dict_is_replaced_and_never_changed() -> None:
    old = flax.core.freeze(variables(0))
    new = with_state(old, get_state_dict(variables(1)), strict=True)
    assert isinstance(new, flax.core.FrozenDict)
    assert isinstance(new["params"]["head-x"]["kernel"], meta.Partitioned)
    assert numbers(old) == numbers(variables(0))
    assert numbers(new) == numbers(variables(1))
    with pytest.raises(LoadError, match="with_state"):
        load_state_dict(old, get_state_dict(variables(1)), strict=True)


def train_state(seed: int, steps: int) -> Any:
    made = variables(seed)
    state = TrainState.create(apply_fn=Net().apply, params=made["params"], tx=optax.adam(0.1))
    state = state.replace(step=jnp.array(0))
    for _ in range(steps):
        state = state.apply_gradients(grads=jax.tree.map(jnp.ones_like, state.params))
    return state


def test_a_train_state_with_the_moments_of_its_parameters_by_name() -> None:
    saved = get_state_dict(train_state(1, 2))
    assert {"step", "params.head-x.kernel", "opt_state.0.mu.head-x.kernel"} < set(saved)
    new = with_state(train_state(0, 0), saved, strict=True)
    assert numbers(new) == numbers(train_state(1, 2))
    assert new.step == 2
    new.apply_gradients(grads=jax.tree.map(jnp.ones_like, new.params))


@pytest.mark.parametrize("file_has", [int, jnp.array])
@pytest.mark.parametrize("slot_has", [int, jnp.array])
@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt", "msgpack", "flax"])
def test_a_step_is_a_number_or_an_array_as_it_was(
    tmp_path: Path, file_has: Any, slot_has: Any, suffix: str
) -> None:
    saved, path = train_state(1, 2).replace(step=file_has(2)), tmp_path / f"s.{suffix}"
    if suffix == "flax":
        path.write_bytes(flax.serialization.to_bytes(saved))
    else:
        write_state_dict(get_state_dict(saved), path)
    old = train_state(0, 0).replace(step=slot_has(0))
    with read_state_dict(path, root="") as file:
        new = with_state(old, file, strict=True)
    assert type(new.step) is type(old.step)
    assert (new.step, old.step) == (2, 0)
    assert new.apply_gradients(grads=new.params).step == 3
    with pytest.raises(LoadError, match="with_state"):
        load_state_dict(old, get_state_dict(saved), strict=True)
    with pytest.raises(LoadError, match="with_state"):
        load_state_dict(old, snapshot(saved), strict=True)
    assert old.step == 0


@flax.struct.dataclass
class Settings:
    rate: float
    on: bool = True
    turn: complex = 1j
    rest: Any = flax.struct.field(pytree_node=False, default=7)
    name: str = "x"
    count: int = 1


def test_numbers_are_those_that_flax_itself_saves() -> None:
    old, other = Settings(0.5), Settings(1.5, False, 2j, 8, "y", -(2**63))
    theirs = flax.serialization.to_state_dict(other)
    assert set(get_state_dict(other)) == set(theirs) - {"name"}
    assert with_state(old, get_state_dict(other), strict=True) == other.replace(rest=7, name="x")
    assert with_state(old, snapshot(other), strict=True).count == -(2**63)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"count": np.array(1.5)}, "count.*float64"),
        ({"count": np.zeros(2, int)}, r"count.*\[2\]"),
        ({"count": 2**70}, "too large for 64 bits"),
        ({"count": "7"}, "count.*str"),
        ({"on": np.array(0.5)}, "on.*float64"),
        ({"rate": jax.ShapeDtypeStruct((), np.float32)}, "rate.*abstract"),
    ],
)
def test_what_is_not_such_a_number_is_refused(given: Any, why: str) -> None:
    with pytest.raises(CatenError, match=rf"(?s){why}"):
        with_state(Settings(0.5), {**get_state_dict(Settings(1.5)), **given}, strict=True)


def test_what_flax_writes_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state.msgpack"
    path.write_bytes(flax.serialization.to_bytes(train_state(1, 2)))
    with read_state_dict(path, root="") as file:
        new = with_state(train_state(0, 0), file, strict=True)
    assert numbers(new) == numbers(train_state(1, 2))


def test_the_state_of_optax_alone() -> None:
    params = {"w": jnp.ones(2)}
    old = optax.adamw(1e-3).init(params)
    given = {
        key: np.ones_like(as_array(Numpy(), leaf)) for key, leaf in get_state_dict(old).items()
    }
    assert set(given) == {"0.count", "0.mu.w", "0.nu.w"}
    new = with_state(old, given, strict=True)
    assert type(new[0]) is type(old[0])
    assert (new[0].count, new[0].mu["w"].tolist()) == (1, [1, 1])


class Box(flax.struct.PyTreeNode, meta.AxisMetadata):  # type: ignore[misc]
    """A box of somebody's own, with further names for its field."""

    inner: Any
    axes: Any = flax.struct.field(pytree_node=False, default=("x",))

    def unbox(self) -> Any:
        return self.inner

    def replace_boxed(self, value: Any) -> Any:
        return self.replace(inner=value)

    def add_axis(self, index: int, params: Any) -> Any:
        return self

    def remove_axis(self, index: int, params: Any) -> Any:
        return self


@pytest.mark.parametrize("key", ["w", "w.value"])
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
def test_a_box_of_another_class_keeps_what_it_knows(verb: Any, key: str) -> None:
    old = {"w": Box(jnp.zeros(2), ("a",))}
    assert list(get_state_dict(old)) == ["w"]
    new = verb(old, {key: np.ones(2, "f4")}, strict=True)["w"]
    assert (type(new), new.axes, new.inner.tolist()) == (Box, ("a",), [1, 1])


@pytest.mark.parametrize("make", [
    lambda x: {"w": Box(x)},
    lambda x: {"w": meta.Partitioned(x, ("a",))},
    lambda x: nnx.Dict(w=nnx.Param(x)),
    lambda x: nnx.State({"w": nnx.Param(x)}),
    lambda x: flax.core.freeze({"w": x}),
    lambda x: TrainState.create(apply_fn=None, params={"w": x}, tx=optax.sgd(1)),
])  # fmt: skip
def test_inside_a_function_that_jax_traces_every_verb_is_refused(make: Any) -> None:
    outside = get_state_dict(make(jnp.ones(2)))

    @jax.jit
    def inside(x: Any) -> Any:
        model = make(x)
        for act in (
            lambda: get_state_dict(model),
            lambda: load_state_dict(model, outside),
            lambda: with_state(model, outside),
        ):
            with pytest.raises(StateDictError, match=r"w'? is traced by JAX.*outside"):
                act()
        return x

    inside(jnp.ones(2))

"""Modules of Equinox: new ones by with_state, with the very objects of their static fields."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import get_state_dict, load_state_dict, read_state_dict, with_state, write_state_dict
from caten_sd.errors import LoadError, StateDictError

pytest.importorskip("equinox", reason="Equinox is not installed: pip install 'caten-sd[equinox]'")

import equinox as eqx
import jax

jnp = jax.numpy


class Net(eqx.Module):  # type: ignore[misc]
    layers: list[Any]
    table: dict[str, Any]
    activation: Any
    rate: float
    size: int = eqx.field(static=True)
    device: Any = eqx.field(static=True)

    def __init__(self, seed: int) -> None:
        keys = jax.random.split(jax.random.key(seed), 2)
        self.layers = [
            eqx.nn.Linear(2, 3, key=keys[0]),
            eqx.nn.BatchNorm(3, "batch", mode="batch"),
            jax.nn.relu,
        ]
        self.table = {"a": eqx.nn.Conv2d(1, 2, 3, key=keys[1], dtype=jnp.bfloat16)}
        self.activation, self.rate, self.size = jax.nn.gelu, 0.5, 3
        self.device = jax.devices()[0]  # deepcopy refuses it

    def __call__(self, x: Any, state: Any) -> Any:
        return self.layers[1](self.layers[0](x), state)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["w"], meta_fields=["n"])
@dataclasses.dataclass(frozen=True)
class Plain:
    w: Any
    n: int


def make(seed: int) -> Any:
    return eqx.nn.make_with_state(Net)(seed)


def output(model: Any, state: Any) -> Any:
    run = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    return run(jnp.arange(8.0).reshape(4, 2), state)[0]


def trained(seed: int) -> Any:
    """Return a state after one batch."""
    model, state = make(seed)
    run = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    return run(jnp.arange(8.0).reshape(4, 2), state)[1]


def same(one: Any, other: Any) -> bool:
    return bool(eqx.tree_equal(one, other))


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "npz", "msgpack"])
def test_a_new_module_has_the_state_of_the_file(tmp_path: Path, suffix: str) -> None:
    write_state_dict(get_state_dict(make(1)[0]), tmp_path / f"m.{suffix}")
    old = make(0)[0]
    with read_state_dict(tmp_path / f"m.{suffix}") as file:
        new = with_state(old, file, strict=True)
    assert same(new, make(1)[0])
    assert same(old, make(0)[0])
    assert new.device is old.device
    assert (new.activation, new.rate) == (jax.nn.gelu, 0.5)


def test_keys_are_fields_and_static_ones_hold_no_state() -> None:
    assert list(get_state_dict(make(0)[0])) == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
        "table.a.weight", "table.a.bias",
    ]  # fmt: skip


def test_the_statistics_of_batch_norm_have_the_path_of_their_layer() -> None:
    assert list(get_state_dict(trained(0))) == [
        "layers.1.batch_counter",
        "layers.1.batch_state_index.0",
        "layers.1.batch_state_index.1",
    ]
    new = with_state(make(0)[1], get_state_dict(trained(1)), strict=True)
    assert same(new, trained(1))


class Named(eqx.Module):
    """A layer under the key of a dict."""

    table: dict[str, eqx.nn.BatchNorm]


def test_a_layer_under_any_key_of_a_dict_has_the_path_that_it_has_in_the_model() -> None:
    key = "a'b\"c\\\n"
    layer = functools.partial(eqx.nn.BatchNorm, 3, "batch", mode="batch")
    model, state = eqx.nn.make_with_state(lambda: Named({key: layer()}))()
    assert next(iter(get_state_dict(model))).startswith(f"table.{key}.")
    assert {each.rpartition("batch_")[0] for each in get_state_dict(state)} == {f"table.{key}."}


def test_a_model_and_its_state_go_together() -> None:
    both = with_state(make(0), get_state_dict((make(1)[0], trained(1))), strict=True)
    assert np.array_equal(output(*both), output(make(1)[0], trained(1)))


@pytest.mark.parametrize("which", [0, 1])
def test_a_module_and_a_state_are_never_changed(which: int) -> None:
    model = make(0)[which]
    with pytest.raises(LoadError, match="with_state"):
        load_state_dict(model, get_state_dict(make(1)[which]), strict=True)
    assert same(model, make(0)[which])


def test_a_state_without_names_or_values_is_refused() -> None:
    layer = eqx.nn.BatchNorm(3, "batch", mode="batch")
    with pytest.raises(StateDictError, match="make_with_state"):
        get_state_dict(eqx.nn.State(layer))
    _, state = make(0)
    state.set(make(0)[0].layers[1].batch_counter, jnp.array(1))
    with pytest.raises(StateDictError, match="used up"):
        get_state_dict(state)


def test_an_abstract_module_gets_arrays() -> None:
    model = eqx.filter_eval_shape(lambda: eqx.nn.Linear(2, 3, key=jax.random.key(0)))
    real = eqx.nn.Linear(2, 3, key=jax.random.key(1))
    assert same(with_state(model, get_state_dict(real), strict=True), real)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(LoadError, match=r"layers\.0\.bias"):
        with_state(make(0)[0], {"layers.0.bias": np.ones(9, "f4")}, strict=True)


class Tied(eqx.Module):  # type: ignore[misc]
    both: Any

    def __init__(self, seed: int) -> None:
        keys = jax.random.split(jax.random.key(seed))
        layers = eqx.nn.Embedding(3, 2, key=keys[0]), eqx.nn.Linear(2, 3, key=keys[1])
        self.both = eqx.nn.Shared(layers, lambda two: two[1].weight, lambda two: two[0].weight)


def test_a_shared_layer_has_its_weight_once() -> None:
    assert list(get_state_dict(Tied(0))) == ["both.pytree.0.weight", "both.pytree.1.bias"]
    embed, linear = with_state(Tied(0), get_state_dict(Tied(1)), strict=True).both()
    assert linear.weight is embed.weight
    assert embed.weight.tolist() == Tied(1).both()[0].weight.tolist()


@pytest.mark.parametrize("make", [lambda x: Plain(x, 3), lambda x: [Plain(x, 3)]])
def test_a_frozen_dataclass_that_jax_knows_as_a_tree(make: Any) -> None:
    old = make(jnp.zeros(2))
    new = with_state(old, get_state_dict(make(jnp.ones(2))), strict=True)
    assert jax.tree.structure(new) == jax.tree.structure(old)
    assert [leaf.tolist() for leaf in jax.tree.leaves((old, new))] == [[0, 0], [1, 1]]


def test_inside_a_function_that_jax_traces_a_module_is_refused() -> None:
    @eqx.filter_jit
    def inside(model: Any) -> None:
        for act in (get_state_dict, lambda each: with_state(each, {"layers.0.bias": np.ones(3)})):
            with pytest.raises(StateDictError, match=r"layers\.0\.weight.*traced"):
                act(model)

    inside(make(0)[0])

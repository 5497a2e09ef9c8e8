"""Modules, states and optimizers of NNX: keys by attribute, Variables that stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import (
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    snapshot,
    with_state,
    write_state_dict,
)
from caten_sd.errors import LoadError
from caten_sd.extend import as_array, spec
from caten_sd.state.leaf import Numpy

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

from flax import nnx

jax: Any = pytest.importorskip("jax")
jnp = jax.numpy


class Model(nnx.Module):  # type: ignore[misc]
    """One of each kind of slot, and an embedding with three names."""

    def __init__(self, seed: int) -> None:
        rngs = nnx.Rngs(seed)
        self.embed = nnx.Embed(3, 4, rngs=rngs)
        self.shared = self.embed
        self.weight = self.embed.embedding
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.body = nnx.Sequential(nnx.Linear(4, 3, rngs=rngs), jax.nn.relu)
        self.many = nnx.List([nnx.Param(jnp.full(1, seed * n)) for n in range(11)])
        self.table = nnx.Dict(a=nnx.Param(jnp.full(2, seed, "bfloat16")))
        self.tree = nnx.data({"x": [nnx.Param(jnp.full(2, seed))]})
        self.half = nnx.Linear(1, 1, use_bias=False, rngs=rngs)
        self.key_cache = nnx.Cache(jnp.zeros(3))
        self.sown = nnx.Intermediate(jnp.zeros(3))
        self.bare = jnp.full(3, seed)
        self.size = 4
        self.fixed = nnx.static((1, 2))


KEYS = [
    "bare", "body.layers.0.bias", "body.layers.0.kernel", "embed.embedding", "half.kernel",
    *(f"many.{n}" for n in range(11)), "norm.bias", "norm.mean", "norm.scale", "norm.var",
    "shared.embedding", "table.a", "tree.x.0", "weight",
]  # fmt: skip


def numbers(model: Any) -> dict[str, Any]:
    return {k: as_array(Numpy(), leaf).tolist() for k, leaf in get_state_dict(model).items()}


def test_keys_are_those_of_nnx_and_ties_are_kept_where_it_drops_them() -> None:
    state = get_state_dict(Model(1))
    assert list(state) == KEYS
    assert dict(state.ties) == {
        "shared.embedding": "embed.embedding",
        "weight": "embed.embedding",
    }
    kept = nnx.to_flat_state(nnx.state(Model(1), nnx.Not(nnx.Any(nnx.RngState, nnx.Cache))))
    theirs = {".".join(map(str, path)) for path, _ in kept}
    assert theirs - {"sown"} == set(state) - set(state.ties)


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "npz", "msgpack"])
def test_variables_stay_the_objects_that_they_are(tmp_path: Path, suffix: str) -> None:
    model, other = Model(0), Model(1)
    model.embed.embedding.set_metadata(author="a person")
    before = [leaf for _, leaf in nnx.iter_graph(model) if isinstance(leaf, nnx.Variable)]
    write_state_dict(get_state_dict(other), tmp_path / f"m.{suffix}")
    with read_state_dict(tmp_path / f"m.{suffix}") as file:
        load_state_dict(model, file, strict=True)
    after = [leaf for _, leaf in nnx.iter_graph(model) if isinstance(leaf, nnx.Variable)]
    assert all(one is two for one, two in zip(before, after, strict=True))
    assert model.embed.embedding.get_metadata()["author"] == "a person"
    assert numbers(model) == numbers(other)
    assert model.table["a"].get_value().dtype == jnp.bfloat16
    x = jnp.ones((2, 4))
    assert np.array_equal(model.body(x), other.body(x))


@pytest.mark.parametrize("options", [{}, {"assign": True}, {"dtype": {"*": "float32"}}])
def test_with_state_leaves_the_old_model_and_keeps_ties(options: Any) -> None:
    old = Model(0)
    new = with_state(old, get_state_dict(Model(1)), allow_missing="*", silent=True, **options)
    assert numbers(old) == numbers(Model(0))
    assert numbers(new) == numbers(Model(1))
    assert new.weight is new.embed.embedding is new.shared.embedding
    assert type(new.norm.mean) is nnx.BatchStat


def test_adopted_leaves_keep_ties_and_kinds_of_variables() -> None:
    model = Model(0)
    load_state_dict(model, get_state_dict(Model(1)), strict=True, assign=True)
    assert model.weight is model.embed.embedding
    assert type(model.norm.mean) is nnx.BatchStat
    assert numbers(model) == numbers(Model(1))


@pytest.mark.parametrize(
    ("given", "why"),
    [({"half.kernel": np.ones((9, 9))}, "9, 9"), ({"half.new": np.ones(1)}, "not in the model")],
)
def test_what_nnx_update_takes_without_a_word_is_refused(given: Any, why: str) -> None:
    model = Model(0)
    everything = {**get_state_dict(Model(1)), **given}
    with pytest.raises(LoadError, match=why):
        load_state_dict(model, everything, strict=True)
    assert numbers(model) == numbers(Model(0))
    assert not hasattr(model.half, "new")


def test_random_keys_caches_and_sown_values_are_not_saved_and_a_filtered_state_has_them() -> None:
    model = Model(3)
    passing = {"drop.rngs.key": np.zeros(2, "u4"), "key_cache": np.ones(3, "f4")}
    plan = plan_load(model, {**get_state_dict(Model(1)), **passing})
    assert plan.fits
    chosen = nnx.state(model, nnx.Any(nnx.RngState, nnx.Cache))
    assert list(get_state_dict(chosen)) == ["drop.rngs.count", "drop.rngs.key", "key_cache"]
    load_state_dict(chosen, {**passing, "drop.rngs.count": np.array(7, "u4")}, strict=True)
    assert model.key_cache[...].tolist() == [1, 1, 1]
    assert model.drop.rngs.count[...] == 7
    assert jax.random.key_data(model.drop.rngs.key[...]).tolist() == [0, 0]


PASSING = {
    "random": {"drop.rngs.count", "drop.rngs.key"},
    "cache": {"key_cache"},
    "intermediate": {"sown"},
    "computed": set(),
}


@pytest.mark.parametrize("include", [*PASSING, ("random", "cache", "intermediate")])
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
def test_what_is_left_out_is_saved_and_loaded_if_it_is_included(
    tmp_path: Path, verb: Any, include: Any
) -> None:
    wanted = set().union(*(PASSING[n] for n in ([include] if type(include) is str else include)))
    old, other = Model(0), Model(1)
    other.drop(jnp.ones(2))
    other.sown.set_value(jnp.ones(3))
    write_state_dict(get_state_dict(other, include=include), tmp_path / "m.safetensors")
    with read_state_dict(tmp_path / "m.safetensors") as file:
        assert set(file) == {*KEYS, *wanted}
        new = verb(old, file, strict=True, include=include)
    has = get_state_dict(new, include=include)
    for key, leaf in get_state_dict(other, include=include).items():
        assert as_array(Numpy(), has[key]).tolist() == as_array(Numpy(), leaf).tolist(), key
    if "random" in include:
        assert np.array_equal(new.drop(jnp.ones(99)), other.drop(jnp.ones(99)))


def test_what_is_included_and_not_in_the_file_is_missing() -> None:
    plan = plan_load(Model(0), get_state_dict(Model(1)), include="random")
    assert [row.key for row in plan.rows if row.outcome.name == "MISSING"] == [
        "drop.rngs.count",
        "drop.rngs.key",
    ]


def test_a_state_is_filled_and_its_model_with_it() -> None:
    model = Model(0)
    state = nnx.state(model, nnx.Param)
    load_state_dict(state, get_state_dict(nnx.state(Model(1), nnx.Param)), strict=True)
    assert model.half.kernel[...] == Model(1).half.kernel[...]


def test_an_abstract_model_gets_values() -> None:
    def make() -> Any:
        return nnx.Linear(2, 3, rngs=nnx.Rngs(1))

    model = nnx.eval_shape(make)
    assert not spec(model.kernel).has_values
    load_state_dict(model, get_state_dict(make()), strict=True)
    assert np.array_equal(model(jnp.ones(2)), make()(jnp.ones(2)))


def test_an_optimizer_has_the_names_of_the_parameters() -> None:
    optax = pytest.importorskip("optax")

    def trained(steps: int) -> Any:
        model = nnx.Linear(2, 3, rngs=nnx.Rngs(1))
        optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
        for _ in range(steps):
            optimizer.update(model, nnx.grad(lambda m: m(jnp.ones(2)).sum())(model))
        return optimizer

    saved = get_state_dict(trained(2))
    assert {"opt_state.0.mu.kernel", "opt_state.0.nu.bias", "opt_state.0.count"} < set(saved)
    fresh = trained(0)
    load_state_dict(fresh, saved, strict=True)
    assert numbers(fresh) == numbers(trained(2))
    assert fresh.step[...] == 2


def test_a_snapshot_keeps_its_values() -> None:
    model = Model(0)
    before = snapshot(model)
    load_state_dict(model, get_state_dict(Model(1)))
    kept = {key: as_array(Numpy(), leaf).tolist() for key, leaf in before.items()}
    assert kept == numbers(Model(0))


def test_names_that_end_in_value_as_orbax_saves_them_are_known() -> None:
    model = Model(0)
    named = {
        f"{key}.value": leaf for key, leaf in get_state_dict(Model(1)).items() if key != "bare"
    }
    load_state_dict(model, {**named, "bare": np.ones(3, "i4")}, strict=True)
    assert numbers(model) == numbers(Model(1))


def test_two_variables_can_be_swapped() -> None:
    model = nnx.Dict(a=nnx.Param(jnp.zeros(2)), b=nnx.Param(jnp.ones(2)))
    load_state_dict(model, {"a": model["b"], "b": model["a"]}, strict=True)
    assert numbers(model) == {"a": [1, 1], "b": [0, 0]}


def test_a_module_that_is_a_dataclass_has_the_slots_of_nnx() -> None:
    @nnx.dataclass
    class Pair(nnx.Module):  # type: ignore[misc]
        first: nnx.Param

        def __post_init__(self) -> None:
            self.second = nnx.Param(jnp.ones(1))

    assert list(get_state_dict(Pair(nnx.Param(jnp.ones(2))))) == ["first", "second"]


def test_an_array_in_a_tuple_of_a_module_is_loaded_into_a_copy_alone() -> None:
    model = nnx.Dict(pair=nnx.data((jnp.ones(1), jnp.ones(1))))
    new = with_state(model, {"pair.0": np.zeros(1, "f4")}, silent=True)
    assert numbers(new) == {"pair.0": [0], "pair.1": [1]}
    assert numbers(model) == {"pair.0": [1], "pair.1": [1]}
    with pytest.raises(LoadError, match="with_state"):
        load_state_dict(model, {"pair.0": np.zeros(1, "f4")}, silent=True)


@pytest.mark.parametrize("options", [{}, {"assign": True}])
@pytest.mark.parametrize("share", [
    lambda one: {"a": one, "b": [one.kernel]},
    lambda one: [nnx.Dict(a=one, b=nnx.Dict(c=one)), one],
    lambda one: (one, nnx.List([one.kernel, one.bias])),
    lambda one: {"b": nnx.Sequential(one, one), "a": one.kernel},
])  # fmt: skip
def test_what_modules_share_is_shared_in_the_copy(share: Any, options: Any) -> None:
    """The deepcopy of NNX would copy each of them anew, and leave one with its old values."""
    old = share(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    state, before = get_state_dict(old), numbers(old)
    given = {key: np.full(spec(v).shape, 7, "f4") for key, v in state.items()}
    new = with_state(old, given, strict=True, **options)
    assert get_state_dict(new).ties == state.ties
    assert len(state.ties) >= 1
    assert all(np.unique(each).tolist() == [7] for each in numbers(new).values())
    assert numbers(old) == before


def test_what_is_not_loaded_is_copied_once_and_a_deleted_array_is_not() -> None:
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    layer.kernel.get_value().delete()
    old = [nnx.Dict(a=layer), layer]
    given = {"0.a.kernel": np.ones((2, 3), "f4"), "1.kernel": np.ones((2, 3), "f4")}
    new = with_state(old, given, allow_missing="*", silent=True)
    assert new[1] is new[0]["a"]
    assert new[1].bias is not layer.bias
    assert new[1].bias.get_metadata() == layer.bias.get_metadata()
    assert new[1](jnp.ones(2)).tolist() == [2, 2, 2]


def test_a_copy_is_a_module_that_nnx_splits_and_that_takes_a_new_attribute() -> None:
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    new = with_state(layer, get_state_dict(layer), strict=True)
    new.more = nnx.Param(jnp.zeros(1))
    assert nnx.state(new).keys() == {"kernel", "bias", "more"}
    graph, state = nnx.split(new)
    assert nnx.merge(graph, state)(jnp.ones(2)).tolist() == layer(jnp.ones(2)).tolist()
    nnx.jit(lambda model: model(jnp.ones(2)))(new)


def test_a_variable_by_itself_that_is_not_loaded_stays_one() -> None:
    old = [nnx.Param(jnp.zeros(2), author="a person"), nnx.Param(jnp.zeros(1))]
    new = with_state(old, {"1": np.ones(1, "f4")}, allow_missing="*", silent=True)
    assert [type(each) for each in new] == [nnx.Param, nnx.Param]
    assert new[0] is not old[0]
    assert new[0].get_metadata()["author"] == "a person"

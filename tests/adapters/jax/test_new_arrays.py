"""Loads into trees of JAX: new arrays, on the devices where the old ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import (
    get_state_dict,
    load_state_dict,
    plan_load,
    read_state_dict,
    with_state,
    write_state_dict,
)
from caten_sd.errors import LoadError
from caten_sd.state.source import Source

from .devices import divided, jax

jnp = jax.numpy


def tree(value: float = 0) -> Any:
    layer = {"kernel": jnp.full((8, 4), value, "f4"), "bias": jnp.full(4, value, "bfloat16")}
    return {"layers": [layer], "key": jax.random.key(int(value)), "step": jnp.array(int(value))}


def numbers(model: Any) -> Any:
    return {key: np.asarray(jax.random.key_data(leaf) if key == "key" else leaf).tolist()
            for key, leaf in get_state_dict(model).items()}  # fmt: skip


@pytest.mark.parametrize("verb", [load_state_dict, with_state])
@pytest.mark.parametrize("suffix", ["safetensors", "pt", "npz", "msgpack"])
def test_a_tree_goes_through_a_file(tmp_path: Path, verb: Any, suffix: str) -> None:
    write_state_dict(get_state_dict(tree(3)), tmp_path / f"t.{suffix}")
    old = tree()
    with read_state_dict(tmp_path / f"t.{suffix}") as file:
        new = verb(old, file, strict=True)
    assert numbers(new) == numbers(tree(3))
    assert numbers(old) == numbers(tree(0 if verb is with_state else 3))
    assert new["key"].dtype == old["key"].dtype
    jax.jit(lambda model: model)(new)


def test_values_are_cast_and_the_casts_counted() -> None:
    given = {"step": np.array(2**40), "layers.0.kernel": np.full((8, 4), 1 / 3)}
    report = plan_load(tree(), given).apply()
    errors = {row.key: row.error for row in report.rows if row.outcome.name == "CAST"}
    assert errors["step"] == 2**40
    assert 0 < errors["layers.0.kernel"] < 1e-7


@pytest.mark.parametrize("options", [{"assign": True}, {"dtype": "keep"}, {"dtype": "float64"}])
def test_a_wider_dtype_that_jax_lacks_is_refused(options: Any) -> None:
    model = tree()
    with pytest.raises(LoadError, match=r"layers\.0\.kernel.*float64.*jax_enable_x64"):
        load_state_dict(model, {"layers.0.kernel": np.ones((8, 4))}, silent=True, **options)
    assert numbers(model) == numbers(tree())


def test_a_dtype_that_is_asked_for() -> None:
    new = with_state(tree(), get_state_dict(tree(2)), dtype={"layers.0.*": "float16"}, strict=True)
    assert {leaf.dtype.name for leaf in new["layers"][0].values()} == {"float16"}
    assert new["step"].dtype == jnp.int32


def test_abstract_shapes_get_arrays() -> None:
    shapes = jax.eval_shape(tree)
    new = with_state(shapes, get_state_dict(tree(5)), strict=True)
    assert numbers(new) == numbers(tree(5))
    assert numbers(load_state_dict(shapes, get_state_dict(tree(6)))) == numbers(tree(6))


@pytest.mark.parametrize("axes", [("a", "b"), ("b",), (None, "a"), (("a", "b"),), ()])
def test_each_device_reads_its_own_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: Any
) -> None:
    values = np.arange(64 * 32, dtype=np.float32).reshape(64, 32)
    write_state_dict({"w": values}, tmp_path / "w.safetensors")
    where = divided(*axes)
    model = {"w": jax.device_put(jnp.zeros((64, 32)), where)}
    sizes = reads_of(monkeypatch)
    with read_state_dict(tmp_path / "w.safetensors") as file:
        sizes.clear()
        new = with_state(model, file, strict=True)["w"]
    assert new.sharding == where
    assert np.array_equal(np.asarray(new), values)
    for shard in new.addressable_shards:
        assert np.array_equal(shard.data, values[shard.index])
    _map, *sizes = sizes  # the plan maps all of it, and reads nothing
    rows, columns = where.shard_shape((64, 32))
    assert max(sizes) <= 4 * (32 * (rows - 1) + columns)  # from its first byte to its last one
    assert sum(sizes) <= 64 * 32 * 4 * (32 // columns)


def reads_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each read of a file adds its number of bytes."""
    sizes: list[int] = []
    for name in ("view", "read", "read_into", "read_rows"):
        monkeypatch.setattr(Source, name, counted(getattr(Source, name), sizes))
    return sizes


def counted(method: Any, sizes: list[int]) -> Any:
    def read(self: Source, at: int, size: Any, *rest: Any) -> Any:
        sizes.append(size if isinstance(size, int) else size.nbytes)
        return method(self, at, size, *rest)

    return read


def test_an_array_stays_on_its_device_and_is_committed_as_it_was() -> None:
    device = jax.devices()[2]
    model = {"here": jax.device_put(jnp.zeros(3), device), "free": jnp.zeros(3)}
    new = with_state(model, {"here": np.ones(3, "f4"), "free": np.ones(3, "f4")}, strict=True)
    assert new["here"].devices() == {device}
    assert [new["here"].committed, new["free"].committed] == [True, False]


@pytest.mark.parametrize("where", ["cpu:1", "device", "sharding"])
def test_a_place_that_is_asked_for(where: str) -> None:
    asked = {"device": jax.devices()[1], "sharding": divided("a")}.get(where, where)
    new = with_state({"w": jnp.zeros(4)}, {"w": np.ones(4, "f4")}, map_location=asked)["w"]
    assert len(new.devices()) == (4 if where == "sharding" else 1)
    assert jax.devices()[1] in new.devices()


@pytest.mark.parametrize("where", ["cpu:9", "nowhere", torch.device("cpu"), 3])
def test_a_place_that_does_not_exist(where: Any) -> None:
    with pytest.raises(LoadError, match=r"w cannot be loaded.*jax\.devices\(\).*nothing was"):
        with_state({"w": jnp.zeros(4)}, {"w": np.ones(4, "f4")}, map_location=where)


def test_what_is_loaded_is_a_copy() -> None:
    given, model = jnp.ones(3), {"w": jnp.zeros(3)}
    load_state_dict(model, {"w": given})
    assert model["w"].unsafe_buffer_pointer() != given.unsafe_buffer_pointer()
    load_state_dict(model, {"w": given}, assign=True)
    assert model["w"] is given


def deleted() -> Any:
    array = jnp.ones(3)
    array.delete()
    return array


@pytest.mark.parametrize(("leaf", "why"), [
    (deleted, "was deleted"),
    (lambda: jax.ShapeDtypeStruct((3,), np.float32), "abstract shape"),
])  # fmt: skip
def test_a_leaf_without_values_is_found_by_the_plan(leaf: Any, why: str) -> None:
    (row,) = plan_load({"w": jnp.zeros(3)}, {"w": leaf()}).rows
    assert row.outcome.name == "UNASSIGNABLE"
    assert why in row.note


def test_a_slot_whose_array_was_deleted_gets_a_new_one() -> None:
    model = {"w": deleted()}
    assert load_state_dict(model, {"w": np.ones(3, "f4")}, strict=True)["w"].tolist() == [1, 1, 1]


def test_a_load_inside_jit_is_refused() -> None:
    model = {"w": jnp.zeros(3)}

    def inside(array: Any) -> Any:
        (row,) = plan_load(model, {"w": array}).rows
        assert "outside" in row.note
        return array

    jax.jit(inside)(jnp.ones(3))


def test_a_float_never_goes_into_an_integer() -> None:
    with pytest.raises(LoadError, match="step"):
        load_state_dict(tree(), {"step": jnp.array(1.5)}, strict=True)


def test_it_meets_torch() -> None:
    module = torch.nn.Linear(4, 8, bias=False)
    load_state_dict(module, {"weight": jnp.ones((8, 4))}, strict=True)
    assert module.weight.detach().eq(1).all()
    new = with_state({"weight": jnp.zeros((8, 4))}, module.state_dict(), strict=True)
    assert new["weight"].all()


def test_the_very_same_array_in_two_slots_is_tied_until_it_is_copied() -> None:
    params = {"w": jnp.zeros(2)}
    given = {"online.w": np.ones(2, "f4"), "target.w": np.full(2, 2, "f4")}
    with pytest.raises(LoadError, match="target"):
        with_state({"online": params, "target": params}, given, strict=True)
    apart = {"online": params, "target": jax.tree.map(jnp.copy, params)}
    assert numbers(with_state(apart, given, strict=True)) == {
        "online.w": [1, 1],
        "target.w": [2, 2],
    }


def test_keys_of_another_kind_are_refused() -> None:
    old = {"key": jax.random.key(0, impl="rbg")}
    with pytest.raises(LoadError, match=r"unsafe_rbg.*rbg.*impl='unsafe_rbg'.*nothing was changed"):
        load_state_dict(old, {"key": jax.random.key(1, impl="unsafe_rbg")}, strict=True)
    data = jax.random.key_data(jax.random.key(1, impl="rbg"))
    load_state_dict(old, {"key": np.asarray(data)}, strict=True)
    assert np.array_equal(jax.random.key_data(old["key"]), data)

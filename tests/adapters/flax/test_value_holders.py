"""Variables, boxes and trees of Flax hold arrays as trees of JAX do: copied, cast and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import get_state_dict, load_state_dict, plan_load, save, snapshot, with_state
from caten_sd.errors import CatenError, LoadError
from caten_sd.extend import as_array
from caten_sd.state.leaf import Numpy

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

import flax
import jax
from flax import nnx
from flax.core import meta

jnp = jax.numpy
SHAPE = (64, 64)  # large enough that JAX would use the memory of numpy's array as it is
HOLDERS = {
    "module": lambda x: nnx.Dict(w=nnx.Param(x)),
    "state": lambda x: nnx.State({"w": nnx.Param(x)}),
    "statistic": lambda x: nnx.Dict(w=nnx.BatchStat(x)),
    "box": lambda x: {"w": meta.Partitioned(x, ("a", "b"))},
    "frozen dict": lambda x: flax.core.freeze({"w": x}),
}


def values(tree: Any) -> Any:
    return as_array(Numpy(), get_state_dict(tree)["w"])


@pytest.mark.parametrize("options", [{}, {"assign": True}])
@pytest.mark.parametrize("verb", [load_state_dict, with_state])
@pytest.mark.parametrize("kind", HOLDERS)
def test_what_is_loaded_shares_no_memory_with_an_array_of_numpy(
    kind: str, verb: Any, options: Any
) -> None:
    if (kind, verb) == ("frozen dict", load_state_dict):
        pytest.skip("a FrozenDict is never changed")
    given = np.ones(SHAPE, np.float32)
    new = verb(HOLDERS[kind](jnp.zeros(SHAPE)), {"w": given}, strict=True, **options)
    given[:] = 7
    assert values(new).max() == 1


@pytest.mark.parametrize("kind", HOLDERS)
def test_what_is_narrowed_is_a_counted_cast_or_refused(kind: str) -> None:
    old = HOLDERS[kind](jnp.zeros(SHAPE))
    given = {"w": np.full(SHAPE, 1 / 3)}
    if kind != "frozen dict":
        (row,) = plan_load(HOLDERS[kind](jnp.zeros(SHAPE)), given).apply().rows
        assert row.outcome.name == "CAST"
        assert 0 < row.error < 1e-7
    with pytest.raises(LoadError, match=r"w.*float64.*jax_enable_x64"):
        with_state(old, given, dtype="keep", silent=True)
    with pytest.raises(LoadError, match="float64"):
        with_state(HOLDERS[kind](jnp.zeros(SHAPE, int)), given, strict=True)


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_deleted_array_is_an_error_by_its_key(kind: str, tmp_path: Path) -> None:
    array = jnp.zeros(SHAPE)
    old = HOLDERS[kind](array)
    array.delete()
    for act in (lambda: save(old, tmp_path / "w.npz"), lambda: snapshot(old)):
        with pytest.raises(CatenError, match=r"deleted.*donated"):
            act()
    assert not (tmp_path / "w.npz").exists()
    assert values(with_state(old, {"w": np.ones(SHAPE, "f4")}, strict=True)).max() == 1


class OfTrees(nnx.Module):
    def __init__(self) -> None:
        self.p = nnx.Param({"a": jnp.zeros(2), "b": [jnp.zeros(3), jnp.zeros(1)]})


OF_TREES = {"p.a": np.ones(2, "f4"), "p.b.0": np.ones(3, "f4"), "p.b.1": np.ones(1, "f4")}


def sums(model: OfTrees) -> list[float]:
    return [float(leaf.sum()) for leaf in jax.tree.leaves(nnx.state(model))]


@pytest.mark.parametrize("assign", [False, True])
def test_a_tree_in_a_variable_is_loaded_into_the_variable(assign: bool) -> None:
    model = OfTrees()
    variable = model.p
    load_state_dict(model, OF_TREES, strict=True, assign=assign)
    assert model.p is variable
    assert sums(model) == [2, 3, 1]
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(variable.get_value()))
    assert list(get_state_dict(model)) == list(OF_TREES)


def test_with_state_leaves_the_tree_of_the_old_variable_as_it_was() -> None:
    model = OfTrees()
    assert sums(with_state(model, OF_TREES, strict=True)) == [2, 3, 1]
    assert sums(model) == [0, 0, 0]


def test_a_tuple_in_a_variable_is_replaced_and_not_changed() -> None:
    model = {"v": nnx.Param((jnp.zeros(2),))}
    with pytest.raises(LoadError, match=r"(?s)v.0: a tuple takes no new object .*with_state"):
        load_state_dict(model, {"v.0": np.ones(2, "f4")})
    made = with_state(model, {"v.0": np.ones(2, "f4")})
    assert float(made["v"].get_value()[0].sum()) == 2

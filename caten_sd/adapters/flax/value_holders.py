"""Leaves that hold an array and what Flax knows of it: a Variable of NNX, a box of linen.

A Variable takes a new value and stays the object that it is, with its metadata; so variables that
are shared stay shared. A box, such as Partitioned, cannot be changed, and a new one with its names
replaces it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from flax import nnx
from flax.core import meta

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, slots_of, unwrap
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Kind, Memory, Numpy, Spec, as_array, memory, spec, spec_or_none

HOLDERS = (nnx.Variable, meta.AxisMetadata)


def value_of(leaf: Any) -> Any:
    """Return the array in a Variable or a box; any other leaf itself.

    A box of linen may place its array on a mesh when it is unboxed, which is not asked for.
    """
    if isinstance(leaf, nnx.Variable):
        return leaf.get_value()
    if not isinstance(leaf, meta.AxisMetadata):
        return leaf
    return leaf.value if isinstance(leaf, meta.Partitioned) else leaf.unbox()


def _tree_of(holder: Any) -> Any:
    """Return the dict, the list or another object with arrays in it; None if there is an array.

    That of a Variable is the one that it has: ``get_value`` copies the containers, so that what is
    put into them would be lost.
    """
    held = holder.get_raw_value() if isinstance(holder, nnx.Variable) else value_of(holder)
    return None if spec_or_none(held) is not None else held


@to_state_dict.register(HOLDERS)
def _pairs(holder: Any, parent: Path, /) -> list[Pair]:
    tree = _tree_of(holder)
    if tree is not None:
        return to_state_dict(tree, parent)
    return to_state_dict(value_of(holder), parent) and [(list(parent), holder)]


class _HolderHooks(OwnerHooks):
    """A file may have the array under the further name "value", as Flax and Orbax write it."""

    adapts = True

    def adapt(self, *, prefix: str, leaves: dict[str, Any], source: Any) -> None:
        own, inner = prefix.removesuffix("."), f"{prefix}value"
        if inner in leaves and own not in leaves:
            leaves[own] = leaves.pop(inner)


@hooks_of.register(HOLDERS)
def _hooks(holder: Any, /) -> OwnerHooks:
    return _HolderHooks(holder)


@slots_of.register(HOLDERS)
def _no_slots(holder: Any, /) -> list[Slot]:
    return []


@unwrap.register(HOLDERS)
def _unwrapped(holder: Any, /) -> Any:
    """Return the tree that a Variable or a box holds, whose slots are its own; else itself."""
    tree = _tree_of(holder)
    return holder if tree is None else tree


@spec.register(HOLDERS)
def _spec(holder: Any, /) -> Spec:
    return spec(value_of(holder))


@as_array.register((Numpy, Kind), HOLDERS)
def _as_array(kind: Any, holder: Any, /) -> Any:
    return as_array(kind, value_of(holder))


@as_array.register(HOLDERS)
def _for_place(place: Any, leaf: Any, /) -> Any:
    return as_array(Numpy(), leaf)


@memory.register(nnx.Variable)
def _memory(variable: Any, /) -> Memory:
    """Return the Variable as its own block, since a load puts another array into it."""
    return Memory((("Variable", id(variable)),), _itself)


@memory.register(meta.AxisMetadata)
def _memory_of_box(box: Any, /) -> Memory:
    return Memory((), _itself)


def _itself(holder: Any) -> Hashable:
    return id(holder)


@refusal.register(nnx.Variable)
def _takes_values(variable: Any, leaf: Any, /) -> str:
    return ""


@refusal.register(meta.AxisMetadata)
def _refusal(box: Any, leaf: Any, /) -> str:
    return "a box of Flax cannot be changed: put a new one into the tree"


@assign.register(nnx.Variable)
def _set_value(variable: Any, leaf: Any, /) -> None:
    old = variable.get_value()
    variable.set_value(replacement(old, value_of(leaf), dtype=spec(old).dtype, copy=True))


@replacement.register(HOLDERS)
def _replacement(place: Any, leaf: Any, /, **options: Any) -> Any:
    new = replacement(value_of(place), value_of(leaf), **options)
    return place.replace(new) if isinstance(place, nnx.Variable) else place.replace_boxed(new)

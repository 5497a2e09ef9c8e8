"""Rebuild state that is not a tensor from the dotted keys under which a file's tree is read.

A module's extra state may be a mapping with tensors in it, a packed weight a tuple of two.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque
from caten_sd.state.state_dict import StateDict


class SparseParts(Opaque):
    """A sparse tensor of a file, which is read as its indices and values."""

    __slots__ = ()


def with_others(source: StateDict, nested: Collection[str], slots: Container[str]) -> StateDict:
    """Return the state dict, with its values that are not tensors where a slot may want them.

    An object that was not read may be what the file has for a slot, under any spelling of its key.
    """
    wanted = {
        key: value
        for key, value in source.others.items()
        if nested or key in slots or isinstance(value, Opaque)
    }
    wanted |= {name: leaf for name, leaf in _sparse(source).items() if name in slots}
    return StateDict({**source.entry, **wanted}, origin=source.origin) if wanted else source


def _sparse(source: StateDict) -> dict[str, SparseParts]:
    """Return what stands for each sparse tensor of a file, of which only the parts are leaves."""
    end = ".layout"
    found = {
        key.removesuffix(end): each for key, each in source.others.items() if key.endswith(end)
    }
    return {
        name: SparseParts(f"{layout} tensor")
        for name, layout in found.items()
        if type(layout) is str and layout.startswith("torch.sparse_") and name not in source
    }


def put_together(
    named: NamedLeaves, others: Collection[str], nested: Collection[str], slots: Container[str]
) -> NamedLeaves:
    """Return the leaves with one leaf for each nested name, made of all that is below it.

    ``others`` are the file's keys of values that are not tensors; those of them that belong to no
    slot are left out.
    """
    if not nested and not others:
        return named
    leaves, keys = dict(named.leaves), dict(named.keys)
    for name in nested:
        start = f"{name}."
        below = {key[len(start) :]: leaf for key, leaf in leaves.items() if key.startswith(start)}
        if below and name not in leaves:
            for rest in below:
                del leaves[start + rest]
                keys.pop(start + rest, None)
            leaves[name] = _nested(below)
    kept = {
        name: leaf
        for name, leaf in leaves.items()
        if name in slots or keys.get(name, name) not in others
    }
    return attrs.evolve(named, leaves=kept, keys=keys)


def _nested(flat: Mapping[str, Any]) -> Any:
    """Return the tree of dotted keys; indices from 0 on make a list.

    >>> _nested({"a": 1, "b.0": 2, "b.1": 3})
    {'a': 1, 'b': [2, 3]}
    """
    tree: dict[str, Any] = {}
    deep: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        first, dot, rest = key.partition(".")
        if dot:
            tree[first] = deep.setdefault(first, {})
            deep[first][rest] = value
        else:
            tree[first] = value
    found = {name: _nested(deep[name]) if name in deep else tree[name] for name in tree}
    indices = [str(index) for index in range(len(found))]
    return list(found.values()) if list(found) == indices else found


def copied(value: Any) -> Any:
    """Return a copy in which leaves of a file are tensors: a module's own code expects those."""
    if isinstance(value, LazyTensor):
        return value.torch().clone()
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if type(value) is list else deepcopy(value)

"""State that is no tensor, put together again: a file's tree is read flat, under dotted keys.

A module's extra state may be a mapping with tensors in it, a packed weight a tuple of two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.state_dict import StateDict


def with_others(source: StateDict, wanted: Collection[str]) -> StateDict:
    """Return the state dict with what is no tensor in it, where a slot may want that."""
    if not wanted or not source.others:
        return source
    return StateDict({**source.entry, **source.others}, origin=source.origin)


def put_together(given: NamedLeaves, source: StateDict, wanted: Collection[str]) -> None:
    """Make one leaf of what lies below each wanted name; leave out what is no tensor besides."""
    for name in wanted:
        start = f"{name}."
        below = {
            key[len(start) :]: leaf for key, leaf in given.leaves.items() if key.startswith(start)
        }
        if below and name not in given.leaves:
            for rest in below:
                del given.leaves[start + rest]
                given.keys.pop(start + rest, None)
            given.leaves[name] = _nested(below)
    for name in list(given.leaves):
        if given.key(name) in source.others and name not in wanted:
            del given.leaves[name]


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
    """Return a copy, with what lies in a file read: a module's own code expects tensors."""
    if isinstance(value, LazyTensor):
        return value.torch().clone()
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if type(value) is list else deepcopy(value)

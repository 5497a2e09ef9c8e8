"""Find the containers and objects of a pickle's value that hold a tensor, at any depth.

They may hold each other in circles, so each is visited once, and the answer goes from the tensors
to what holds them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain
from typing import Any

from caten_sd.encodings.pickle.arrays import array_leaf
from caten_sd.encodings.pickle.inert_values import Attributed, Instance, Ordered
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import are_plain
from caten_sd.state.tree import SHORT

LEAVES: frozenset[type] = frozenset({LazyTensor, BlockTensor})
_OBJECTS = {Instance, Attributed}
_CONTAINERS = {dict, Ordered, list, tuple, set, frozenset, *_OBJECTS}


def tensor_holders(value: Any, leaves: Container[type] = LEAVES) -> set[int]:
    """Return the ids of all containers and objects below a value that hold a tensor.

    >>> inner: list = []
    >>> inner.append(inner)
    >>> tensor_holders([inner])
    set()
    """
    holders: dict[int, list[int]] = {id(value): []}
    found: set[int] = set()
    todo = [value]
    while todo:
        node = todo.pop()
        if type(node) is Instance and array_leaf(node) is not None:
            found.add(id(node))
            continue
        for child in _children(node):
            if type(child) in leaves:
                found.add(id(node))
            elif type(child) in _CONTAINERS and not is_short_and_plain(child):
                if (known := holders.get(id(child))) is None:
                    known = holders[id(child)] = []
                    todo.append(child)
                known.append(id(node))
    return _with_holders(found, holders)


def is_short_and_plain(value: Any) -> bool:
    """Return whether a value is a short list or tuple of plain values, of which many may be."""
    return type(value) in (list, tuple) and len(value) <= SHORT and are_plain(value)


def _children(node: Any) -> Iterable[Any]:
    if type(node) in _OBJECTS:
        return (node.args, node.state, node.entries)
    if type(node) is Ordered:
        return chain((node.state,), node, node.values())
    if type(node) is dict:
        return chain(node, node.values())
    return node if type(node) in _CONTAINERS else ()


def _with_holders(found: set[int], holders: dict[int, list[int]]) -> set[int]:
    """Return what was found and all that holds it."""
    todo = list(found)
    while todo:
        for holder in holders[todo.pop()]:
            if holder not in found:
                found.add(holder)
                todo.append(holder)
    return found

"""SavedLeaf: a tensor in a tree that was read from a file, and operations on such trees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from caten_sd.state.compare import same_values
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.leaf import Numpy, Torch, as_array


class SavedLeaf:
    """A tensor of a tree: its key, its leaf in the file, and the kind of array that was saved.

    ``kind`` is "torch", "numpy", or "number" for a scalar of numpy.
    """

    __slots__ = ("key", "kind", "leaf")

    def __init__(self, key: str, leaf: Any, kind: str = "torch") -> None:
        self.key, self.leaf, self.kind = key, leaf, kind

    def array(self) -> Any:
        """Return a copy of the tensor, of the kind that was saved."""
        return with_bytes_copied(self._array)

    def _array(self) -> Any:
        if self.kind in ("numpy", "number"):
            array = as_array(Numpy(), self.leaf).copy()
            return array[()] if self.kind == "number" else array
        return as_array(Torch(), self.leaf).detach().clone()


def map_saved(change: Callable[[SavedLeaf], Any], tree: Any) -> Any:
    """Return a tree in which ``change`` has replaced every saved leaf."""
    if isinstance(tree, SavedLeaf):
        return change(tree)
    if type(tree) is dict:
        return {key: map_saved(change, child) for key, child in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map_saved(change, child) for child in tree)
    return tree


def live(tree: Any) -> Any:
    """Return a tree with a new array in the place of every saved leaf."""
    return map_saved(SavedLeaf.array, tree)


def bare(tree: Any) -> Any:
    """Return a tree with the file's own leaf in the place of every saved leaf."""
    return map_saved(attrgetter("leaf"), tree)


def saved_leaves(tree: Any) -> list[SavedLeaf]:
    """Return the saved leaves of a tree, in order."""
    if isinstance(tree, SavedLeaf):
        return [tree]
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple, deque)):
        return []
    return [leaf for child in tree for leaf in saved_leaves(child)]


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values from trees are equal; tensors are compared by their values."""
    if isinstance(one, SavedLeaf) and isinstance(other, SavedLeaf):
        return same_values(one.leaf, other.leaf)
    return type(one) is type(other) and bool(one == other)

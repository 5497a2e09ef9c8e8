"""Plain values among tensors, as leaves that every format can hold: a tree becomes its tensors,
each at its path, and one JSON text at ``values`` that says what stands around them.

A text of our own, since a file's metadata is lost by whoever copies only its tensors, and 0-d
arrays know neither None nor tuples nor text.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.state.compare import same_values
from caten_sd.state.keys import Name, Pair, Path, path_text, pytorch_style_dict_key
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.training_keys import VALUES

_PLAIN = (type(None), bool, int, float, str)
# What JSON has no word for: its tag, its class, its parts.
_TAGGED: tuple[tuple[str, type, Callable[[Any], Any]], ...] = (
    ("$counter", Counter, lambda value: list(value.items())),
    ("$deque", deque, lambda value: [list(value), value.maxlen]),
    ("$tuple", tuple, list),
    ("$set", (set), sorted),
    ("$complex", complex, lambda value: [value.real, value.imag]),
    ("$bytes", bytes, bytes.hex),
)
_MADE: dict[str, Callable[[Any], Any]] = {
    "$counter": lambda pairs: Counter(dict(pairs)),
    "$deque": lambda parts: deque(parts[0], maxlen=parts[1]),
    "$tuple": tuple,
    "$set": set,
    "$complex": lambda parts: complex(*parts),
    "$bytes": bytes.fromhex,
    "$dict": dict,
}


def tree_pairs(tree: Any, parent: Path) -> list[Pair]:
    """Return the tensors of a tree under their paths, and the text of all else.

    StateDictError names what no file can hold.

    >>> [(path, getattr(leaf, "nbytes", 0)) for path, leaf in tree_pairs({"lr": 0.1}, ["adam"])]
    [(['adam', 'values'], 10)]
    """

    pairs: list[Pair] = []
    text = write_text(_told(tree, list(parent), pairs))
    return [*pairs, ([*parent, VALUES], text)]


def _told(value: Any, path: Path, pairs: list[Pair]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if type(value) is list:
        return [_told(child, [*path, at], pairs) for at, child in enumerate(value)]
    if isinstance(value, Mapping) and not isinstance(value, Counter):
        return _told_mapping(value, path, pairs)
    for tag, kind, parts in _TAGGED:
        if isinstance(value, kind):
            inner = parts(value)
            return {tag: inner if kind in (bytes, complex) else _told(inner, path, pairs)}
    if _kind_of(value) == "number":
        pairs.append((path, value.__array__()))
        return {"$leaf": "number"}
    if spec_or_none(value) is None:
        raise StateDictError(
            f"{path_text(path)} is a {type(value).__name__}, which no file can hold without "
            f"running code from it; leave it out of the state_dict() it comes from"
        )
    pairs.append((path, value))
    return {"$leaf": _kind_of(value)}


def _told_mapping(value: Mapping[Any, Any], path: Path, pairs: list[Pair]) -> Any:
    told = [(key, _told(child, [*path, Name(key)], pairs)) for key, child in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in told):
        return dict(told)
    return {"$dict": [[_told(key, path, pairs), child] for key, child in told]}


def _kind_of(leaf: Any) -> str:
    """Tell numpy's arrays and numbers from all else, which comes back as torch's tensors."""
    if type(leaf).__module__.partition(".")[0] != "numpy" or not hasattr(leaf, "dtype"):
        return "torch"
    return "numpy" if hasattr(leaf, "__setitem__") else "number"


def read_text(leaf: Any) -> Any:
    """Return the JSON value of a text among the leaves; LoadError if it is none of ours."""
    try:
        raw = as_array(Numpy(), leaf)
        if raw.ndim != 1 or raw.dtype.itemsize != 1:
            raise LoadError(f"it is {list(raw.shape)} {raw.dtype}")
        return json.loads(raw.tobytes())
    except (CatenError, ValueError, RecursionError) as error:
        raise LoadError(f"the text of a training state is damaged: {error}; nothing was changed") \
            from error  # fmt: skip


def write_text(told: Any) -> Any:
    """Return a JSON value as a leaf."""
    import numpy as np

    return np.frombuffer(bytearray(json.dumps(told, separators=(",", ":")).encode()), np.uint8)


def read_tree(leaves: Mapping[str, Any], parent: str) -> Any:
    """Return the tree whose text lies at ``parent.values``, its leaves as the file has them.

    LoadError if a leaf that the text speaks of is absent, or the text is damaged.
    """
    told = read_text(leaves[_key([parent, VALUES] if parent else [VALUES])])
    try:
        return _meant(told, [parent] if parent else [], leaves)
    except (TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise LoadError(
            f"the text {parent}.{VALUES} is damaged ({error}); nothing was changed"
        ) from error


def _meant(told: Any, path: Path, leaves: Mapping[str, Any]) -> Any:
    if isinstance(told, list):
        return [_meant(child, [*path, at], leaves) for at, child in enumerate(told)]
    if not isinstance(told, dict):
        return told
    tag = next(iter(told), "")
    if len(told) != 1 or not tag.startswith("$"):
        return {key: _meant(child, [*path, key], leaves) for key, child in told.items()}
    if tag == "$leaf":
        return SavedLeaf(_key(path), _leaf(leaves, _key(path)), told[tag])
    if tag == "$dict":
        pairs = [(_key_of(key, leaves), child) for key, child in told[tag]]
        return {key: _meant(child, [*path, key], leaves) for key, child in pairs}
    if tag not in _MADE:
        raise ValueError(f"it has a value {tag!r}, written by a later version")
    parts = told[tag]
    inner = parts if tag in ("$bytes", "$complex") else _meant(parts, path, leaves)
    return _MADE[tag](inner)


def _key_of(told: Any, leaves: Mapping[str, Any]) -> Any:
    return _meant(told, [], leaves)


def _leaf(leaves: Mapping[str, Any], key: str) -> Any:
    if key not in leaves:
        raise LoadError(f"{key} is not in the file, and its text speaks of it; nothing was changed")
    return leaves[key]


def _key(path: Path) -> str:
    return pytorch_style_dict_key([Name(p) if isinstance(p, str) else p for p in path])


class SavedLeaf:
    """A tensor in a tree that was read: its key, its leaf in the file, what kind it was."""

    __slots__ = ("key", "kind", "leaf")

    def __init__(self, key: str, leaf: Any, kind: str = "torch") -> None:
        self.key, self.leaf, self.kind = key, leaf, kind

    def array(self) -> Any:
        """Return a copy of the tensor, of the kind that was saved."""
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
    """Return the tensors of a tree that was read, in order."""
    if isinstance(tree, SavedLeaf):
        return [tree]
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple, deque)):
        return []
    return [leaf for child in tree for leaf in saved_leaves(child)]


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values of trees that were read are equal; tensors by what they hold."""
    if isinstance(one, SavedLeaf) and isinstance(other, SavedLeaf):
        return same_values(one.leaf, other.leaf)
    return type(one) is type(other) and bool(one == other)

"""Turn the value of a pickle into a tree: leaves and plain values in plain containers.

An object of an absent class that holds a tensor becomes a dict of its parts, under these names:

- the items of a list, dict or set that its class derives from: their keys or indices
- its attributes: their names; a state that is a tuple: indices; any other state: ``state``
- the arguments that it is made of, if a tensor is in them: indices

Parts whose names collide are one level deeper, in ``items``, ``state`` and ``args``. In a dict, the
parts of an object with a dotted key are further dotted keys. An object without a tensor stays an
Opaque. An object that is met again inside itself is one too: its parts come out where it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from caten_sd.encodings.pickle.arrays import array_leaf, is_array_of_objects
from caten_sd.encodings.pickle.inert_values import Attributed, Instance, Ordered
from caten_sd.encodings.pickle.tensor_holders import (
    LEAVES,
    is_short_and_plain,
    tensor_holders,
)
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Opaque, are_plain
from caten_sd.state.tree import MANY_VALUES, key_text
from caten_sd.wording import a_or_an

MAX_DEPTH = 100
MAX_NODES = 4_000_000  # of the tree in which every shared container is repeated
MAX_REPEATED = 50_000  # nodes of what is met again, after which only containers of tensors repeat
MAX_LEFT_OUT = 100_000  # containers without tensors that are met again after that

PLAIN_KEYS = {str, int, float, bool, bytes, type(None)}


class ObjectTree:
    """Resolves one value; it remembers what each container became and how many nodes it has.

    A format adds to ``leaves`` what else is a tensor in it.
    """

    leaves: frozenset[type] = LEAVES

    def __init__(self, value: Any) -> None:
        self.opaque: Counter[str] = Counter()
        self._value = value
        self._kept: list[Any] = []  # lists of ours, whose identity must stay theirs
        self._found_holders: set[int] | None = None
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._nodes = self._repeated = self._left_out = 0

    def tree(self) -> Any:
        """Return the tree; ValueError if its containers nest or repeat without bound."""
        return self.resolve(self._value, 0)

    def own(self, value: Instance, depth: int) -> Any:
        """Return what a format makes of an object that it knows, or None."""
        return None

    def leaf(self, value: Any) -> Any:
        """Return a value that is not a container as it is in the tree."""
        return value

    def resolve(self, value: Any, depth: int) -> Any:
        """Return the tree of a value that is this deep in the tree."""
        method = _METHODS.get(type(value))
        self._nodes += 1
        if method is None:
            return self.leaf(value)
        if is_short_and_plain(value):
            return value
        known = self._done.get(id(value))
        if known is None:
            return self._resolve_new(method, value, depth)
        made, nodes = known
        self._repeated += nodes
        if self._repeated > MAX_REPEATED and (type(value) in _OBJECTS or not self.holds(value)):
            self._left_out += 1
            if self._left_out > MAX_LEFT_OUT:
                raise ValueError(f"over {MAX_LEFT_OUT:,} of its containers are met again")
            return value if type(value) in _OBJECTS else Opaque(_what(value, "repeats"))
        self._count(nodes)
        return made

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise ValueError(f"its containers unfold to more than {MAX_NODES:,} entries")

    def _resolve_new(self, method: Callable[..., Any], value: Any, depth: int) -> Any:
        if id(value) in self._open:
            return value if isinstance(value, Instance) else Opaque(_what(value, "holds itself"))
        if depth >= MAX_DEPTH - 1 and not self.holds(value):
            return Opaque(_what(value, f"nests more than {MAX_DEPTH} deep"))
        if depth > MAX_DEPTH:
            raise ValueError(f"its containers nest more than {MAX_DEPTH} deep")
        self._open.add(id(value))
        before = self._nodes
        made = method(self, value, depth + 1)
        self._open.discard(id(value))
        self._count(0)
        self._done[id(value)] = made, self._nodes - before
        return made

    def holds(self, value: Any) -> bool:
        """Return whether a tensor is anywhere below a container or an object."""
        if self._found_holders is None:
            self._found_holders = tensor_holders(self._value, self.leaves)
        return id(value) in self._found_holders

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        """Return a dict; one with keys that are not names becomes two lists."""
        if not PLAIN_KEYS.issuperset(map(type, value)) and not all(map(_is_name, value)):
            lists = {"keys": list(value), "values": list(value.values())}
            self._kept += lists.values()
            return self.named(lists.items(), depth)
        made = {key: self.resolve(child, depth) for key, child in value.items()}
        if any(type(child) in _OBJECTS for child in value.values()):
            return _spliced(value, made)
        return made

    def ordered(self, value: Ordered, depth: int) -> Any:
        """Return the items of an OrderedDict, and its attributes if a tensor is in them."""
        if not _is_only_metadata(value.state) and self.holds(value.state):
            return self._joined({"items": dict(value), "state": value.state}, depth)
        return self.mapping(value, depth)

    def sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        """Return a list or tuple of resolved items; the same one if there is nothing to resolve."""
        if are_plain(value):
            if len(value) <= MANY_VALUES:  # a longer one is one value in the tree
                self._nodes += len(value)
            return value
        return type(value)([self.resolve(child, depth) for child in value])

    def set(self, value: Any, depth: int) -> Any:
        """Return a set with tensors as a list, in the order of the tensors' bytes."""
        if not self.holds(value):
            return value
        return self.sequence(sorted(value, key=_position), depth)

    def attributed(self, value: Attributed, depth: int) -> Any:
        """Return a tensor; with tensors as attributes, a dict in which its own name is empty."""
        if not self.holds(value.state):
            return self.resolve(value.args[0], depth)
        return self._joined({"args": {"": value.args[0]}, "state": value.state}, depth)

    def instance(self, value: Instance, depth: int) -> Any:
        """Return what the format knows, the leaf of an array, or the parts of an object."""
        if (own := self.own(value, depth)) is not None:
            return own
        if (leaf := array_leaf(value)) is not None:
            return leaf
        if is_array_of_objects(value):
            return self.resolve(value.state[4], depth)
        parts = {"items": value.entries, "state": value.state, "args": value.args}
        holding = {name: part for name, part in parts.items() if self._holds_part(part)}
        if holding.keys() - {"items"}:
            return self._joined(holding, depth)
        if value.entries is not None:
            return self.resolve(value.entries, depth)
        self.opaque[value.name] += 1
        return value

    def _holds_part(self, part: Any) -> bool:
        return self.holds(part) or type(part) in self.leaves

    def _joined(self, parts: dict[str, Any], depth: int) -> dict[Any, Any]:
        """Return named parts as one dict, or as one each if their names collide."""
        named = {name: _names(part, name) for name, part in parts.items()}
        names = [name for part in named.values() for name in part]
        if len(names) == len(set(names)):
            return self.named([pair for part in named.values() for pair in part.items()], depth)
        return {name: self.named(part.items(), depth + 1) for name, part in named.items()}

    def named(self, entries: Iterable[tuple[str, Any]], depth: int) -> dict[Any, Any]:
        """Return resolved entries as a dict without those that are empty dicts."""
        made = {}
        for name, child in entries:
            resolved = self.resolve(child, depth)
            if resolved != {}:
                made[name] = resolved
        return made


_METHODS: dict[type, Callable[..., Any]] = {
    dict: ObjectTree.mapping,
    Ordered: ObjectTree.ordered,
    list: ObjectTree.sequence,
    tuple: ObjectTree.sequence,
    set: ObjectTree.set,
    frozenset: ObjectTree.set,
    Instance: ObjectTree.instance,
    Attributed: ObjectTree.attributed,
}
_OBJECTS = {Instance, Attributed}


def _what(value: Any, does: str) -> str:
    return f"{a_or_an(type(value).__name__.lower())} that {does}"


def _is_name(key: Any) -> bool:
    """Return whether a key can be a name in a tree: a plain value, or a tuple of them."""
    if type(key) is tuple:
        return all(type(each) in PLAIN_KEYS for each in key)
    return type(key) in PLAIN_KEYS


def _is_only_metadata(state: Any) -> bool:
    """Return whether the attributes of an OrderedDict are what torch sets on each state dict."""
    return state is None or (type(state) is dict and set(state) <= {"_metadata"})


def _spliced(value: dict[Any, Any], made: dict[Any, Any]) -> dict[Any, Any]:
    """Return the dict with the parts of an object that has a dotted key as further dotted keys."""
    flat: dict[Any, Any] = {}
    for key, child in value.items():
        parts = made[key]
        named = {f"{key}.{name}" if name else key: part for name, part in _parts(parts)}
        is_flat = type(child) is Attributed or (type(key) is str and "." in key)
        if (
            named
            and type(child) in _OBJECTS
            and is_flat
            and not named.keys() & (made.keys() - {key})
        ):
            flat.update(named)
        else:
            flat[key] = parts
    return flat


def _parts(made: Any) -> Iterable[tuple[str, Any]]:
    return made.items() if type(made) is dict else ()


def _names(part: Any, name: str) -> dict[str, Any]:
    """Return the entries of one part of an object by name; a state's slots are attributes too."""
    if type(part) is tuple and name == "state" and all(type(p) in (dict, type(None)) for p in part):
        return {key_text(key): value for each in part for key, value in (each or {}).items()}
    if type(part) in (dict, Ordered):
        return {key_text(key): value for key, value in part.items()}
    if type(part) in (set, frozenset):
        part = sorted(part, key=_position)
    if type(part) in (list, tuple):
        return {str(index): value for index, value in enumerate(part)}
    return {name: part}


def _position(value: Any) -> tuple[str, int, str]:
    """Return where in its file a tensor of a set is; sets have no order of their own."""
    if type(value) is not LazyTensor:
        return "", 0, ""
    return value.source.name, value.source.start + value.offset, str(value.shape)

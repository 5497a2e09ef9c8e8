"""From an object to its state: which slots hold leaves, and under which paths and keys."""

from __future__ import annotations

import threading
from abc import ABC
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as dataclass_fields
from typing import Any

from caten_sd.errors import NoApplicableMethodError, StateDictError
from caten_sd.generic import generic
from caten_sd.slots import slot_kind
from caten_sd.state_dict import Name, Pair, Path, StateDict
from caten_sd.tensor import BlockTensor, LazyTensor

KeyMapper = Callable[[Path], str]

MAX_DEPTH = 200


class AttrsInstance(ABC):
    """Stands for every attrs class, which have no base in common."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return hasattr(other, "__attrs_attrs__") if cls is AttrsInstance else NotImplemented


class DataclassInstance(ABC):
    """Stands for every dataclass."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        marked = hasattr(other, "__dataclass_fields__")
        return marked if cls is DataclassInstance else NotImplemented


class NamedTuple(ABC):
    """Stands for every namedtuple; its fields are slots, not indices."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        named = issubclass(other, tuple) and hasattr(other, "_fields")
        return named if cls is NamedTuple else NotImplemented


@generic
def to_state_dict(obj: Any, parent: Path, /) -> list[Pair]:
    """Return the (path, leaf) pairs of an object, each path beginning with ``parent``.

    A leaf gives itself; attrs classes, dataclasses, lists, tuples, mappings and ``torch.nn.Module``
    are walked in order; None, numbers, text and functions are no state. Add a method to teach it a
    type; it may call the generic for its parts. After Caten's ``->state-dict``.

    >>> import numpy
    >>> to_state_dict({"w": [None, numpy.zeros(2)]}, ["head"])
    [(['head', 'w', 1], array([0., 0.]))]
    """
    raise NotImplementedError


def pytorch_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key of a path as PyTorch would name it: "." between, "-" in a slot's name to "_".

    >>> pytorch_style_dict_key(["h", 0, "ln-1", "bias"])
    'h.0.ln_1.bias'
    """
    try:
        key = ".".join(path)  # several times faster, and most paths hold no index
    except TypeError:
        key = ".".join([str(part) for part in path])
    if "-" not in key:
        return key
    return ".".join(
        part if isinstance(part, Name) else str(part).replace("-", "_") for part in path
    )


def lisp_style_dict_key(path: Iterable[Any]) -> str:
    """Return the key as Caten folds it, for paths of Lisp symbols: lower case, "-" to "_".

    >>> lisp_style_dict_key(["H", 0, "LN-1", "AFFINE"])
    'h.0.ln_1.affine'
    """
    return ".".join(map(str, path)).lower().replace("-", "_")


def get_state_dict(obj: Any, *, key_mapper: KeyMapper = pytorch_style_dict_key) -> StateDict:
    """Return the state of an object as key -> live leaf, in order, with paths and ties.

    The leaves are the object's own, not copies. StateDictError if two paths give one key.
    """
    pairs = to_state_dict(obj, [])
    keys = [key_mapper(path) for path, _ in pairs]
    entry = {key: leaf for key, (_, leaf) in zip(keys, pairs, strict=True)}
    if len(entry) < len(pairs):
        raise _collision(obj, keys, [path for path, _ in pairs])
    return StateDict(entry, paths={key: path for key, (path, _) in zip(keys, pairs, strict=True)})


def _collision(obj: Any, keys: list[str], paths: list[Path]) -> StateDictError:
    first: dict[str, Path] = {}
    for key, path in zip(keys, paths, strict=True):
        if first.setdefault(key, path) is not path:
            break
    return StateDictError(
        f"the paths {first[key]} and {path} of {type(obj).__name__} both give the key {key!r}; "
        f"rename a slot or pass a key_mapper that keeps them apart"
    )


class _Walk(threading.local):
    """The containers that this thread is inside of, each with the path that led to it."""

    def __init__(self) -> None:
        self.inside: dict[int, Path] = {}


_walk = _Walk()


def children(obj: Any, parent: Path, items: Iterable[tuple[Any, Any]]) -> list[Pair]:
    """Return the pairs of a container's items, each under ``parent`` and its name.

    A container that holds itself is a StateDictError that names the path.
    """
    inside = _walk.inside
    if id(obj) in inside:
        raise StateDictError(
            f"{_show(parent)} is {_show(inside[id(obj)])} again: a {type(obj).__name__} that holds "
            f"itself has no state dict; declare that slot transient()"
        )
    if len(inside) >= MAX_DEPTH:
        raise StateDictError(f"containers are nested more than {MAX_DEPTH} deep at {_show(parent)}")
    inside[id(obj)] = parent
    try:
        pairs: list[Pair] = []
        for name, value in items:
            pairs += to_state_dict(value, [*parent, name])
        return pairs
    finally:
        del inside[id(obj)]


def _show(path: Path) -> str:
    return repr(pytorch_style_dict_key(path)) if path else "the root"


@to_state_dict.register(AttrsInstance)
def _attrs_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    # attrs gives the fields of base classes first, and a slot that was never set is no state.
    names = [field.name for field in obj.__attrs_attrs__ if slot_kind(field) in ("state", "buffer")]
    return children(obj, parent, [(n, getattr(obj, n)) for n in names if hasattr(obj, n)])


@to_state_dict.register(DataclassInstance)
def _dataclass_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    names = [field.name for field in dataclass_fields(obj)]
    return children(obj, parent, [(n, getattr(obj, n)) for n in names if hasattr(obj, n)])


@to_state_dict.register(NamedTuple)
def _namedtuple_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    return children(obj, parent, zip(obj._fields, obj, strict=True))


@to_state_dict.register((list, tuple, deque))
def _list_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    return children(obj, parent, enumerate(obj))


@to_state_dict.register(Mapping)
def _mapping_pairs(obj: Mapping[Any, Any], parent: Path, /) -> list[Pair]:
    pairs = children(obj, parent, ((_name(key), value) for key, value in obj.items()))
    for path, _ in pairs:
        if not isinstance(path[len(parent)], (str, int)):
            raise StateDictError(
                f"{_show(parent)} holds a leaf under the key {path[len(parent)]!r}; a mapping's "
                f"keys must be strings or integers to become part of a path"
            )
    return pairs


def _name(key: Any) -> Any:
    return Name(key) if isinstance(key, str) and "-" in key else key


@to_state_dict.register((set, frozenset))
def _set_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    if children(obj, parent, enumerate(obj)):
        raise StateDictError(f"{_show(parent)} is a set of leaves, which has no order; use a list")
    return []


@to_state_dict.register((LazyTensor, BlockTensor))
def _leaf_pairs(leaf: Any, parent: Path, /) -> list[Pair]:
    return [(parent, leaf)]


@to_state_dict.register((type(None), bool, int, float, complex, str, bytes))
def _no_pairs(value: Any, parent: Path, /) -> list[Pair]:
    return []


@to_state_dict.register(object)
def _unknown(obj: Any, parent: Path, /) -> list[Pair]:
    """Take an object nobody taught us as no state, unless it is the root or looks like a leaf."""
    looks_like_leaf = hasattr(obj, "shape") and hasattr(obj, "dtype")
    if parent and not (looks_like_leaf and not isinstance(obj, type)):
        return []
    name = type(obj).__name__
    what = "looks like a tensor, but is of a class nobody taught us" if parent else "has no slots"
    raise NoApplicableMethodError(
        f"{_show(parent)}, a {name}, {what}; make it an attrs class or a dataclass, or add a "
        f"method with @to_state_dict.register({name})"
    )

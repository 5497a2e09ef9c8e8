"""From an object to its state: the leaves in its slots, with their paths and keys."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MemberDescriptorType, ModuleType
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.errors import NoApplicableMethodError, StateDictError
from caten_sd.objects.checked_pairs import checked_pairs
from caten_sd.objects.owner import slots_of
from caten_sd.objects.slots import SAVED, Kinds, with_included
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.keys import (
    KeyMapper,
    Pair,
    Path,
    path_element,
    path_text,
    pytorch_style_dict_key,
)
from caten_sd.state.leaf import LazyLeaf
from caten_sd.state.options import checked_options
from caten_sd.state.state_dict import OURS, StateDict
from caten_sd.wording import a_or_an


@generic
def to_state_dict(obj: Any, parent: Path, /) -> list[Pair]:
    """Return the (path, leaf) pairs of an object, each path beginning with ``parent``.

    A leaf is its own pair. The slots of attrs classes, dataclasses, lists, tuples, mappings and
    ``torch.nn.Module`` (all that ``slots_of`` knows) come in order. None, numbers, text and
    functions are not state. A method teaches it another type, and may call the generic for what the
    object holds. After Caten's ``->state-dict``.

    >>> import numpy
    >>> to_state_dict({"w": [None, numpy.zeros(2)]}, ["head"])
    [(['head', 'w', 1], array([0., 0.]))]
    """
    raise NotImplementedError


@checked_options()
@collector_paused()
def get_state_dict(
    obj: Any, *, key_mapper: KeyMapper = pytorch_style_dict_key, include: Kinds = ()
) -> StateDict:
    """Return the state of an object as key -> live leaf, in order, with paths and ties.

    The leaves are the object's own, not copies. ``include`` names kinds of slots that are otherwise
    left out: "computed" (buffers that are not saved), "cache", "random" (keys and counts of
    generators) and "intermediate". StateDictError if two paths have one key, or if the object holds
    itself; NoApplicableMethodError if its class has no method.
    """
    # Whatever an interruption of an earlier extraction left behind is not of this one.
    around = dict(vars(_extraction))
    vars(_extraction).update(
        open={}, in_unknown=False, is_checked=_is_taught(), kinds=with_included(include)
    )
    try:
        pairs = to_state_dict(obj, [])
        pairs = checked_pairs(obj, [], pairs) if _extraction.is_checked else pairs
    finally:
        vars(_extraction).update(around)
    if not pairs:
        _refuse_stateless(obj)
    paths = [path for path, _ in pairs]
    leaves = [leaf for _, leaf in pairs]
    state = StateDict(zip(map(key_mapper, paths), leaves, strict=True), paths=paths)
    if len(state) < len(pairs):
        raise _collision(obj, paths, key_mapper)
    return _with_what_lies_beside(state, obj) if isinstance(obj, StateDict) else state


def _with_what_lies_beside(state: StateDict, given: StateDict) -> StateDict:
    """Return a state with the metadata, others, rest and origin of the one that it is taken of.

    What the metadata says of keys holds of the same keys only.
    """
    is_same = list(state) == list(given)
    said = {k: v for k, v in given.metadata.items() if is_same or not k.startswith(OURS)}
    return given.with_entry(dict(state), paths=state.paths, ties=state.ties, metadata=said)


def _is_taught() -> bool:
    """Return whether there are methods of others, which may return anything."""
    names = (str(each.function.__module__) for each in to_state_dict.methods())
    return not all(name.startswith("caten_sd.") for name in names)


def _refuse_stateless(obj: Any) -> None:
    """Raise an error for what is not a model; a model without state has an empty state dict."""
    if slots_of(obj) is not None or to_state_dict.dispatch(type(obj)) not in (_no_pairs, _by_slots):
        return
    name = type(obj).__name__
    if isinstance(obj, type):
        fix = f"make an instance, {obj.__name__}(...)"
    elif isinstance(obj, str):
        fix = "read_state_dict(path) reads a file"
    elif type(obj).__module__ == "builtins":
        fix = "pass a model, or a list, tuple or dict of tensors"
    else:
        fix = f"make it an attrs class or a dataclass, or add @to_state_dict.register({name})"
    raise NoApplicableMethodError(f"{a_or_an(name)} has no slots that hold a state; {fix}")


def _collision(obj: Any, paths: list[Path], key_mapper: KeyMapper) -> StateDictError:
    first: dict[str, Path] = {}
    for path in paths:
        key = key_mapper(path)
        if first.setdefault(key, path) is not path:
            break
    return StateDictError(
        f"the paths {first[key]} and {path} of {type(obj).__name__} both have the key {key!r}; "
        f"rename a slot, declare another key for it, or pass a key_mapper that keeps them apart"
    )


class _Extraction(threading.local):
    """Where this thread is in an object: the containers around it, by id, with their paths.

    ``is_checked`` if methods of others may return something else than pairs. ``kinds`` are those of
    the slots that are extracted.
    """

    def __init__(self) -> None:
        self.open: dict[int, Path] = {}
        self.in_unknown = False
        self.is_checked = False
        self.kinds: frozenset[str] = frozenset(SAVED)


_extraction = _Extraction()


def is_extracted(kind: str) -> bool:
    """Return whether the extraction that is under way takes slots of this kind."""
    return kind in _extraction.kinds


def children(obj: Any, parent: Path, items: Iterable[tuple[Any, Any]]) -> list[Pair]:
    """Return the pairs of a container's items, each under ``parent`` and its name.

    StateDictError, with both paths, if a container holds itself.
    """
    open_ = _extraction.open
    if id(obj) in open_:
        raise StateDictError(
            f"{path_text(parent)} is {path_text(open_[id(obj)])} again: "
            f"{a_or_an(type(obj).__name__)} "
            f"that holds itself has no state dict; declare that slot transient()"
        )
    try:
        open_[id(obj)] = parent
        pairs: list[Pair] = []
        is_checked = _extraction.is_checked
        for name, value in items:
            path = [*parent, name]
            found = to_state_dict(value, path)
            pairs += checked_pairs(value, path, found) if is_checked else found
        return pairs
    except RecursionError:
        raise StateDictError(
            f"the containers at {path_text(parent[:8])} are nested too deep, {len(parent)} levels "
            f"or more; keep them in a list"
        ) from None
    finally:
        open_.pop(id(obj), None)  # Ctrl-C may come before it is there


@to_state_dict.register(object)
def _by_slots(obj: Any, parent: Path, /) -> list[Pair]:
    """Return the pairs of an owner's slots; none for an object that is not an owner."""
    slots = slots_of(obj)
    if slots is None:
        return _unknown(obj, parent)
    kinds = _extraction.kinds
    return children(
        obj, parent, [(path_element(name), value) for name, value, kind in slots if kind in kinds]
    )


@to_state_dict.register(Mapping)
def _mapping_pairs(obj: Mapping[Any, Any], parent: Path, /) -> list[Pair]:
    pairs = _by_slots(obj, parent)
    for path, _ in pairs:
        if not isinstance(path[len(parent)], (str, int)):
            raise StateDictError(
                f"{path_text(parent)} holds a leaf under the key {path[len(parent)]!r}; a "
                f"mapping's keys must be strings or integers to become part of a path"
            )
    return pairs


@to_state_dict.register((set, frozenset))
def _set_pairs(obj: Any, parent: Path, /) -> list[Pair]:
    if children(obj, parent, enumerate(obj)):
        raise StateDictError(
            f"{path_text(parent)} is a set of leaves, which has no order; use a list"
        )
    return []


@to_state_dict.register(LazyLeaf)
def _leaf_pairs(leaf: Any, parent: Path, /) -> list[Pair]:
    return [(list(parent), leaf)]


@to_state_dict.register((type(None), bool, int, float, complex, str, bytes))
def _no_pairs(value: Any, parent: Path, /) -> list[Pair]:
    return []


def _unknown(obj: Any, parent: Path) -> list[Pair]:
    """Return no pairs for an object that is not an owner; an error if it is a leaf or hides one."""
    name = type(obj).__name__
    teach = f"add a method with @to_state_dict.register({name})"
    if _looks_like_leaf(obj):
        raise NoApplicableMethodError(
            f"{path_text(parent)}, {a_or_an(name)}, looks like a tensor, but to_state_dict has "
            f"no method "
            f"for it; {teach}"
        )
    for path, _ in _hidden(obj, parent):
        raise NoApplicableMethodError(
            f"{path_text(path)} is in {path_text(parent)}, {a_or_an(name)}, and to_state_dict "
            f"has no "
            f"method for that; make it an attrs class or a dataclass, {teach}, or declare its "
            f"slot transient()"
        )
    return []


def _looks_like_leaf(obj: Any) -> bool:
    own = getattr(obj, "__dict__", ())
    return not isinstance(obj, (type, ModuleType)) and all(
        hasattr(type(obj), name) or name in own for name in ("shape", "dtype")
    )


def _hidden(obj: Any, parent: Path) -> list[Pair]:
    """Return the state in the attributes of an object of an unknown class.

    A second such object in it is not searched: through loggers and modules, the search would reach
    everything.
    """
    if _extraction.in_unknown or isinstance(obj, (type, ModuleType)):
        return []
    attributes = attributes_of(obj)
    if not attributes:
        return []
    try:
        _extraction.in_unknown = True
        return children(obj, parent, list(attributes.items()))
    finally:
        _extraction.in_unknown = False


def attributes_of(obj: Any) -> dict[str, Any]:
    """Return the attributes of an object: those in its dict, and those in ``__slots__``."""
    found = {}
    for kind in type(obj).__mro__:
        own = vars(kind)
        # The classes of functions and other built-ins have such members without __slots__.
        for name, slot in own.items() if "__slots__" in own else ():
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError):  # it was never set
                    found[name] = slot.__get__(obj)
    return {**found, **getattr(obj, "__dict__", {})}

"""Owners: objects that have slots. ``slots_of`` lists the slots, and ``put`` fills one.

Whatever else works with a model (extraction, the plan of a load, a move to another device) knows
its containers by these two generic functions alone.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, MutableSequence
from contextlib import suppress
from copy import copy
from itertools import count, repeat
from typing import Any

from caten_sd.dispatch.foreign import packages_used_by
from caten_sd.dispatch.generic import generic
from caten_sd.errors import DispatchError
from caten_sd.objects.class_kinds import (
    AttrsInstance,
    DataclassInstance,
    DeclaredMapping,
    NamedTuple,
)
from caten_sd.objects.declared_slots import attribute_of, list_of, slot_values
from caten_sd.objects.slots import SlotKind
from caten_sd.state.compare import same_values
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.same_place import same_place

Slot = tuple[Any, Any, SlotKind]


@generic
def slots_of(owner: Any, /) -> Iterable[Slot] | None:
    """Return (name, value, kind) for each slot of an owner, in order; None for any other object.

    ``name`` is the element that the slot adds to a path, and what ``put`` takes. ``kind`` is
    "state" or "buffer", which are saved, or else "computed" (a buffer that is not saved), "cache",
    "random" (the state of a generator) or "intermediate" (what a call has left behind). A slot that
    was never set is left out.

    >>> list(slots_of([1, 2])), slots_of(3)
    ([(0, 1, 'state'), (1, 2, 'state')], None)
    """
    raise NotImplementedError


@generic
def put(owner: Any, name: Any, value: Any, /) -> None:
    """Put a new object into the slot of this name; an error if the owner cannot be changed."""
    raise NotImplementedError


@generic
def unwrap(obj: Any, /) -> Any:
    """Return the model inside a wrapper such as DataParallel; any other object itself."""
    raise NotImplementedError


@slots_of.register(object)
def _no_owner(owner: Any, /) -> Iterable[Slot] | None:
    """Return the slots of an object of a plain class whose world is known by its module alone."""
    cls: Any = type(owner)
    known = _by_its_module(cls)
    return None if known is None else known(owner)


@functools.lru_cache(1 << 12)
def _by_its_module(cls: type) -> Callable[..., Iterable[Slot]] | None:
    """Return the method for a class once the adapters of what its module uses are imported."""
    for name in packages_used_by(cls):
        with suppress(DispatchError):  # the class may have nothing to do with it
            slots_of.foreign.import_named(name)
    method = slots_of.dispatch(cls)
    return None if method is slots_of.dispatch(object) else method


@slots_of.register((AttrsInstance, DataclassInstance, DeclaredMapping))
def _declared_slots(owner: Any, /) -> Iterable[Slot]:
    return slot_values(owner)


@slots_of.register(NamedTuple)
def _namedtuple_slots(owner: Any, /) -> Iterable[Slot]:
    return zip(owner._fields, owner, repeat("state"))


@slots_of.register((list, tuple, deque))
def _list_slots(owner: Any, /) -> Iterable[Slot]:
    return zip(count(), owner, repeat("state"))


@slots_of.register(Mapping)
def _mapping_slots(owner: Mapping[Any, Any], /) -> Iterable[Slot]:
    return zip(owner.keys(), owner.values(), repeat("state"))


@put.register((object, DeclaredMapping))
def _put_attribute(owner: Any, name: Any, value: Any, /) -> None:
    attribute = attribute_of(owner, name)
    if attribute is None and isinstance(name, int):
        if (items := list_of(owner)) is None:
            raise TypeError(f"{type(owner).__name__} does not support item assignment")
        put(items, name, value)
        return
    attribute = attribute or name
    old = getattr(owner, attribute, None)
    setattr(owner, attribute, value)
    if not keeps(getattr(owner, attribute), value):
        object.__setattr__(owner, attribute, old)
        raise keeps_another(owner)


@put.register((Mapping, MutableSequence, deque))
def _put_item(owner: Any, name: Any, value: Any, /) -> None:
    if type(owner) in (list, dict):
        owner[name] = value
        return
    old = owner[name]
    owner[name] = value
    if not keeps(owner[name], value):
        _plain(owner).__setitem__(owner, name, old)
        raise keeps_another(owner)


def _plain(owner: Any) -> Any:
    """Return the built-in class of an owner, whose __setitem__ looks at no value."""
    return next((each for each in (list, dict) if isinstance(owner, each)), type(owner))


def put_back(owner: Any, name: Any, old: Any) -> bool:
    """Put the object back that a slot had, also where a setter refuses it or keeps another one.

    Return whether the slot has it, or a value that is equal to it, again.
    """
    is_back = False
    with suppress(Exception):
        put(owner, name, old)
        is_back = True
    with suppress(Exception):
        is_back = _put_past_setter(owner, name, old) or is_back
    return is_back or any(held is old for slot, held, _ in slots_of(owner) or () if slot == name)


def _put_past_setter(owner: Any, name: Any, old: Any) -> bool:
    """Put an object into a slot without its setter; return whether the slot holds it."""
    method = put.dispatch(type(owner))
    if method is _BY_ITEM:
        if owner[name] is not old:
            _plain(owner).__setitem__(owner, name, old)
        return owner[name] is old
    if method is not _BY_ATTRIBUTE:
        return False
    attribute = attribute_of(owner, name) or name
    if getattr(owner, attribute, None) is not old:
        object.__setattr__(owner, attribute, old)
    return getattr(owner, attribute) is old


def keeps(held: Any, value: Any) -> bool:
    """Return whether a slot that was given a value holds it, or a copy of it.

    >>> import numpy
    >>> keeps(numpy.zeros(2), numpy.zeros(2)), keeps(numpy.ones(2), numpy.zeros(2))
    (True, False)
    """
    if held is value or (wanted := spec_or_none(value)) is None or same_place(held, value):
        return True
    return spec_or_none(held) == wanted and (not wanted.has_values or same_values(held, value))


def keeps_another(owner: Any) -> TypeError:
    """Return the error of an owner that does not hold what was put into its slot."""
    return TypeError(f"{type(owner).__name__} keeps another value than the one it is given")


def never_put(owner: Any, name: Any, value: Any, /) -> None:
    """Refuse every value; an adapter registers it for owners that cannot be changed."""
    raise TypeError(f"{type(owner).__name__} cannot be changed")


@unwrap.register(object)
def _itself(obj: Any, /) -> Any:
    return obj


_BY_ITEM = put.dispatch(dict)
_BY_ATTRIBUTE = put.dispatch(object)


def fills_alike(owner: Any, name: Any) -> bool:
    """Return whether an owner takes a new object into this slot as it does into its others."""
    return isinstance(name, int) or put.dispatch(type(owner)) is _BY_ITEM


def cannot_put(owner: Any, name: Any, value: Any) -> str:
    """Return why an owner takes no new object into a slot, or "".

    It is tried on a shallow copy, unless an adapter teaches ``put`` for the owner's class.
    """
    method = put.dispatch(type(owner))
    if method is never_put:
        return "it cannot be changed"
    if type(owner) in (list, dict) or method not in (_BY_ITEM, _BY_ATTRIBUTE):
        return ""
    if method is _BY_ITEM and not hasattr(owner, "__setitem__"):
        return f"{type(owner).__name__} does not support item assignment"
    try:
        double = copy(owner)
    except Exception:  # what cannot be copied cannot be tried
        return ""
    if double is owner and not isinstance(owner, tuple):
        return ""
    try:
        put(double, name, value)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""

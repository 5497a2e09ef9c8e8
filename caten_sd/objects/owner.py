"""Owners: objects that have slots. ``slots_of`` lists the slots, and ``put`` fills one.

Whatever else works with a model (extraction, the plan of a load, a move to another device) knows
its containers by these two generic functions alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, MutableSequence
from copy import copy
from itertools import count, repeat
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.objects.class_kinds import (
    AttrsInstance,
    DataclassInstance,
    DeclaredMapping,
    NamedTuple,
)
from caten_sd.objects.declared_slots import attribute_of, list_of, slot_values
from caten_sd.objects.slots import SlotKind

Slot = tuple[Any, Any, SlotKind]


@generic
def slots_of(owner: Any, /) -> Iterable[Slot] | None:
    """Return (name, value, kind) for each slot of an owner, in order; None for any other object.

    ``name`` is the element that the slot adds to a path, and what ``put`` takes. ``kind`` is
    "state" or "buffer", which are saved, "computed" (a buffer that is not saved) or "cache". A slot
    that was never set is left out.

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
def _no_owner(owner: Any, /) -> None:
    return None


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
        items[name] = value
    else:
        setattr(owner, attribute or name, value)


@put.register((Mapping, MutableSequence, deque))
def _put_item(owner: Any, name: Any, value: Any, /) -> None:
    owner[name] = value


@unwrap.register(object)
def _itself(obj: Any, /) -> Any:
    return obj


_TAUGHT_HERE = {put.dispatch(object), put.dispatch(dict)}


def cannot_put(owner: Any, name: Any, value: Any) -> str:
    """Return why an owner takes no new object into a slot, or "".

    It is tried on a shallow copy, unless an adapter teaches ``put`` for the owner's class.
    """
    if type(owner) in (list, dict) or put.dispatch(type(owner)) not in _TAUGHT_HERE:
        return ""
    try:
        double = copy(owner)
    except Exception:  # what cannot be copied cannot be tried
        return ""
    try:
        put(double, name, value)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""

"""How a value gets into a model: copied into a place, or put into a slot.

A place is the array that a slot holds now; values are copied into it. A Slot is an owner and a
name; it gets a new object. A load is all or nothing: ``refusal`` and ``ready`` are called for all
places before ``assign`` is called for the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LoadError
from caten_sd.objects.declared_slots import attribute_of, list_of
from caten_sd.state.keys import Path
from caten_sd.state.leaf import as_array
from caten_sd.wording import a_or_an

EXTRA_STATE = "_extra_state"  # torch's name for what a module adds to its tensors


@generic
def assign(slot: Any, leaf: Any, /) -> None:
    """Copy the leaf's values into a place, or put the leaf itself into a Slot.

    Every type that ``to_state_dict`` returns as a leaf is a place and needs a method. The shapes
    are equal when this is called; the dtype may have to be cast. After ``(setf tensor-buffer)``.
    """
    raise NotImplementedError


@generic
def refusal(place: Any, /) -> str | None:
    """Return why nothing can be written into a place, or "" if a write cannot fail.

    None means that it is not known, as for a type without a method: the load then tries the write
    on a copy of the place first.
    """
    raise NotImplementedError


@generic
def ready(place: Any, leaf: Any, /) -> Any:
    """Return the leaf in a form that the place takes without failing; an error if there is none."""
    raise NotImplementedError


@generic
def replacement(
    place: Any, leaf: Any, /, *, dtype: Any = None, location: Any = None, copy: bool = False
) -> Any:
    """Return the leaf as a new object for the slot of ``place``: of its type, trained if it is.

    The object shares the leaf's memory unless a copy, another DType or another ``location`` (a
    ``map_location``) is asked for.
    """
    raise NotImplementedError


@generic
def unwrap(obj: Any, /) -> Any:
    """Return the model inside a wrapper such as DataParallel; any other object itself."""
    raise NotImplementedError


@refusal.register(object)
def _not_known(place: Any, /) -> None:
    return None


@ready.register(object)
def _unchanged(place: Any, leaf: Any, /) -> Any:
    return leaf


@replacement.register(object)
def _of_the_same_kind(place: Any, leaf: Any, /, **options: Any) -> Any:
    asked = [f"{name}={value}" for name, value in options.items() if value not in (None, False)]
    if asked:
        raise LoadError(
            f"{a_or_an(type(place).__name__)} cannot be replaced by one with "
            f"{', '.join(asked)}; add a "
            f"method with @replacement.register({type(place).__name__})"
        )
    return as_array(place, leaf)


@unwrap.register(object)
def _itself(obj: Any, /) -> Any:
    return obj


def is_on_meta(leaf: Any) -> bool:
    """Return whether a leaf is on torch's meta device, where it has no values."""
    return bool(getattr(leaf, "is_meta", False))


def lack_of_bytes(leaf: Any) -> str:
    """Return why a leaf with a shape and a dtype has no bytes that a file can hold, or ""."""
    if is_on_meta(leaf):
        return "on the meta device, without values: load or compute it first"
    if getattr(leaf, "is_sparse", False) or getattr(leaf, "is_sparse_csr", False):
        return "sparse: make it dense, as its to_dense() does"
    return ""


@attrs.frozen
class Slot:
    """What an owner has under the path element ``name``, and which can get a new object."""

    owner: Any
    name: Any

    def get(self) -> Any:
        """Return what the slot holds."""
        if self.name == EXTRA_STATE and hasattr(self.owner, "get_extra_state"):
            return deepcopy(self.owner.get_extra_state())  # the next set may change it in place
        return step(self.owner, self.name)


@assign.register(Slot)
def _put(slot: Slot, leaf: Any, /) -> None:
    items = _items(slot.owner, slot.name)
    if items is None:
        setattr(slot.owner, attribute_of(slot.owner, slot.name) or slot.name, leaf)
    else:
        items[slot.name] = leaf


def slot_at(obj: Any, path: Path) -> Slot:
    """Return the slot at a path; LoadError if attributes and items do not lead there."""
    try:
        slot = slot_in(follow(obj, path[:-1]), path[-1])
        slot.get()
    except (AttributeError, LookupError, TypeError) as error:
        raise immutable(obj, path, error) from error
    return slot


def slot_in(owner: Any, name: Any) -> Slot:
    """Return the slot of a name in an owner; in the wrapper, if only the wrapper has the name."""
    inner = unwrap(owner)
    own = inner is not owner and name != EXTRA_STATE and not _has(inner, name)
    return Slot(owner if own else inner, name)


def wrapper_of(obj: Any, path: Path) -> str:
    """Return the class name of the wrapper that owns this slot, or ""."""
    try:
        owner = follow(obj, path[:-1])
    except (AttributeError, LookupError, TypeError):
        return ""
    kept = unwrap(owner) is not owner and slot_in(owner, path[-1]).owner is owner
    return type(owner).__name__ if kept else ""


def _has(owner: Any, name: Any) -> bool:
    try:
        step(owner, name)
    except (AttributeError, LookupError, TypeError):
        return False
    return True


def immutable(obj: Any, path: Path, reason: object) -> LoadError:
    """Return the error for a slot that does not take a new object."""
    return LoadError(
        f"{'.'.join(map(str, path)) or 'the root'} of {type(obj).__name__} cannot take a new value "
        f"({reason}); nothing was changed: load without assign=True, which copies into it"
    )


def follow(obj: Any, path: Iterable[Any]) -> Any:
    """Return the object at a path, with each wrapper on the way replaced by its inside."""
    owner = obj
    for name in path:
        owner = step(unwrap(owner), name)
    return owner


def step(owner: Any, name: Any) -> Any:
    """Return what an owner has under a path element: a slot, an item or an attribute.

    The children of torch's lists are attributes with digits as names. A child may have the name of
    a method, so torch's tables come before attributes.
    """
    items = _items(owner, name)
    if items is not None:
        return items[name]
    for table in ("_modules", "_parameters", "_buffers"):
        named = getattr(owner, table, None)
        if isinstance(named, dict) and name in named:
            return named[name]
    return getattr(owner, attribute_of(owner, name) or name)


def _items(owner: Any, name: Any) -> Any:
    """Return the container whose item a path element names; None if it names an attribute."""
    if attribute_of(owner, name) is not None:
        return None
    if isinstance(name, int):
        items = list_of(owner)
        return owner if items is None else items
    return owner if isinstance(owner, MutableMapping) else None

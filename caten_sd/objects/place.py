"""How a value gets into a place: copied into the array that lies there, or put into its slot.

A load is all or nothing, so a place has to say no before the first write: ``refusal`` and ``ready``
are asked of all of them while nothing has been touched, and ``assign`` only then.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, MutableSequence
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LoadError
from caten_sd.state.keys import Path
from caten_sd.state.leaf import as_array

EXTRA_STATE = "_extra_state"  # torch's name for what a module adds to its tensors


@generic
def assign(slot: Any, leaf: Any, /) -> None:
    """Put the leaf's values into a place: into the array itself, or into a Slot as a new one.

    A type that ``to_state_dict`` gives as a leaf is a place; teach it here how values get in. The
    shape fits and the dtype may be cast when this is called. After ``(setf tensor-buffer)``.
    """
    raise NotImplementedError


@generic
def refusal(place: Any, /) -> str | None:
    """Return why nothing can be written into a place, or "" where that cannot fail.

    None, as for every type that has no method here, means that only trying can tell: the load
    tries it on a copy of the place.
    """
    raise NotImplementedError


@generic
def ready(place: Any, leaf: Any, /) -> Any:
    """Return the leaf in the form that the place takes without fail; an error if it has none."""
    raise NotImplementedError


@generic
def replacement(
    place: Any, leaf: Any, /, *, dtype: Any = None, location: Any = None, copy: bool = False
) -> Any:
    """Return a new leaf to lie where ``place`` lies, of its kind, trained if that is.

    It shares the leaf's memory unless a copy, another DType or another ``location`` is wanted.
    """
    raise NotImplementedError


@generic
def unwrap(obj: Any, /) -> Any:
    """Return the model inside a wrapper that is no part of it (DataParallel, say), or itself."""
    raise NotImplementedError


@refusal.register(object)
def _only_trying_can_tell(place: Any, /) -> None:
    return None


@ready.register(object)
def _as_it_is(place: Any, leaf: Any, /) -> Any:
    return leaf


@replacement.register(object)
def _of_the_same_kind(place: Any, leaf: Any, /, **wishes: Any) -> Any:
    if any(wish not in (None, False) for wish in wishes.values()):
        asked = ", ".join(name for name, wish in wishes.items() if wish)
        raise LoadError(
            f"a {type(place).__name__} cannot be replaced with another {asked}; add a method with "
            f"@replacement.register({type(place).__name__})"
        )
    return as_array(place, leaf)


@unwrap.register(object)
def _itself(obj: Any, /) -> Any:
    return obj


def is_on_meta(leaf: Any) -> bool:
    """Return whether a leaf is on torch's meta device, where it has no values."""
    return bool(getattr(leaf, "is_meta", False))


@attrs.frozen
class Slot:
    """The owner's attribute or item ``name``, for a leaf that is adopted without a copy."""

    owner: Any
    name: Any

    def get(self) -> Any:
        """Return what lies in the slot."""
        if self.name == EXTRA_STATE and hasattr(self.owner, "get_extra_state"):
            return deepcopy(self.owner.get_extra_state())  # setting another may change it in place
        return step(self.owner, self.name)


@assign.register(Slot)
def _put(slot: Slot, leaf: Any, /) -> None:
    if isinstance(slot.owner, (MutableMapping, MutableSequence)):
        slot.owner[slot.name] = leaf
    else:
        setattr(slot.owner, slot.name, leaf)


def slot_at(obj: Any, path: Path) -> Slot:
    """Return the slot at a path; LoadError where the path is not one of attributes and items."""
    try:
        slot = slot_in(follow(obj, path[:-1]), path[-1])
        slot.get()
    except (AttributeError, LookupError, TypeError) as error:
        raise immutable(obj, path, error) from error
    return slot


def slot_in(owner: Any, name: Any) -> Slot:
    """Return the slot of an owner, or of the wrapper around it where that has it of its own."""
    inner = unwrap(owner)
    own = inner is not owner and name != EXTRA_STATE and not _has(inner, name)
    return Slot(owner if own else inner, name)


def wrapper_of(obj: Any, path: Path) -> str:
    """Return the class of the wrapper that keeps this slot for itself, or ""."""
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
    """Return the error for a slot that takes no new value."""
    return LoadError(
        f"{'.'.join(map(str, path)) or 'the root'} of {type(obj).__name__} cannot take a new value "
        f"({reason}); nothing was changed: load without assign=True, which copies into it"
    )


def follow(obj: Any, path: Iterable[Any]) -> Any:
    """Return what lies at a path, wrappers on the way being looked through."""
    owner = obj
    for name in path:
        owner = step(unwrap(owner), name)
    return owner


def step(owner: Any, name: Any) -> Any:
    """Follow one element of a path: an index or key where the owner has items, else an attribute.

    torch names the children of its lists by text, which are attributes there, and a child may be
    called as a method is.
    """
    if isinstance(name, int) or isinstance(owner, MutableMapping):
        return owner[name]
    for table in ("_modules", "_parameters", "_buffers"):
        named = getattr(owner, table, None)
        if isinstance(named, dict) and name in named:
            return named[name]
    return getattr(owner, name)

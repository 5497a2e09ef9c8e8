"""How a value gets into a place: copied into the array that lies there, or put into its slot."""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.generic import generic
from caten_sd.state_dict import Path


@generic
def assign(slot: Any, leaf: Any, /) -> None:
    """Put the leaf's values into a place: into the array itself, or into a Slot as a new one.

    A type that ``to_state_dict`` gives as a leaf is a place; teach it here how values get in. The
    shape fits and the dtype may be cast when this is called. After ``(setf tensor-buffer)``.
    """
    raise NotImplementedError


@attrs.frozen
class Slot:
    """The owner's attribute or item ``name``, for a leaf that is adopted without a copy."""

    owner: Any
    name: Any

    def get(self) -> Any:
        """Return what lies in the slot."""
        if isinstance(self.owner, (MutableMapping, MutableSequence)):
            return self.owner[self.name]
        return getattr(self.owner, self.name)


@assign.register(Slot)
def _put(slot: Slot, leaf: Any, /) -> None:
    if isinstance(slot.owner, (MutableMapping, MutableSequence)):
        slot.owner[slot.name] = leaf
    else:
        setattr(slot.owner, slot.name, leaf)


def slot_at(obj: Any, path: Path) -> Slot:
    """Return the slot at a path, proven to take a new value by putting its own one back.

    LoadError where the path is not one of attributes and items, or its owner is immutable.
    """
    try:
        owner = obj
        for name in path[:-1]:
            owner = _step(owner, name)
        slot = Slot(owner, path[-1])
        _put(slot, slot.get())
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise LoadError(
            f"{'.'.join(map(str, path)) or 'the root'} of {type(obj).__name__} cannot take a new "
            f"value ({error}); nothing was changed: load without assign=True, which copies into it"
        ) from error
    return slot


def _step(owner: Any, name: Any) -> Any:
    """Follow one element of a path: an index or key where the owner has items, else an attribute.

    torch names the children of its lists by text, which are attributes there.
    """
    if isinstance(name, int) or isinstance(owner, MutableMapping):
        return owner[name]
    return getattr(owner, name)

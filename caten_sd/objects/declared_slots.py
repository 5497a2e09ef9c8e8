"""The slots that an attrs class or a dataclass declares: in which order, under which keys."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import ModelError, StateDictError
from caten_sd.objects.slots import KEY, Field, SlotKind, checked_key, slot_kind
from caten_sd.state.keys import Name
from caten_sd.wording import a_or_an

SAVED: tuple[SlotKind, ...] = ("state", "buffer")


@attrs.frozen(eq=False)
class DeclaredSlot:
    """One slot of a class: its attribute, the element that it adds to a path, and its kind.

    The element is None if the slot holds a list whose items are slots of the owner itself.
    """

    name: str
    element: str | None
    kind: SlotKind
    field: Any


@attrs.frozen
class _SlotTable:
    """What a class declares: its slots in order, and the attribute of each path element."""

    slots: tuple[DeclaredSlot, ...]
    attributes: Mapping[str | None, str]


@functools.lru_cache(maxsize=4096)
def _slot_table(cls: Any) -> _SlotTable:
    slots = tuple(_declared(cls, field) for field in _fields(cls))
    caches = {each.element: each.name for each in slots if each.kind == "transient"}
    first: dict[str | None, DeclaredSlot] = {}
    for each in slots:
        if each.kind != "transient" and (other := first.setdefault(each.element, each)) is not each:
            raise StateDictError(
                f"the slots {other.name} and {each.name} of {cls.__name__} both have the key "
                f"{each.element!r}; declare another key for one of them"
            )
    return _SlotTable(slots, caches | {name: each.name for name, each in first.items()})


def declared_slots(cls: type) -> tuple[DeclaredSlot, ...]:
    """Return the slots of an attrs class or a dataclass, those of its bases first.

    A slot that a subclass declares again keeps its base's place, as in CLOS and in dataclasses;
    attrs would put it last. StateDictError, with both names, if two slots have one key.
    """
    return _slot_table(cls).slots


def slot_values(owner: Any, kinds: Collection[SlotKind] = SAVED) -> Iterator[tuple[str | int, Any]]:
    """Yield (path element, value) for each declared slot of these kinds that was ever set."""
    for each in declared_slots(type(owner)):
        if each.kind in kinds and hasattr(owner, each.name):
            value = getattr(owner, each.name)
            if each.element is None:
                yield from _items(owner, each, value)
            else:
                yield each.element, value


def attribute_of(owner: Any, element: Any) -> str | None:
    """Return the attribute that a path element of an owner names, or None without such a slot."""
    cls: Any = type(owner)
    return _slot_table(cls).attributes.get(element)


def list_of(owner: Any) -> Any:
    """Return the list whose items are slots of the owner itself, or None without such a list."""
    attribute = attribute_of(owner, None)
    return None if attribute is None else getattr(owner, attribute)


def _items(owner: Any, declared: DeclaredSlot, value: Any) -> Iterable[tuple[int, Any]]:
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    raise StateDictError(
        f"the slot {declared.name} of {type(owner).__name__} holds {a_or_an(type(value).__name__)}"
        f", and its items are to be slots of the owner; put a list there"
    )


def _declared(cls: type, field: Field) -> DeclaredSlot:
    key = field.metadata.get(KEY, field.name)
    if KEY in field.metadata and key is not None:
        try:
            key = checked_key(key)
        except ModelError as error:
            raise StateDictError(f"the slot {field.name} of {cls.__name__}: {error}") from None
        key = Name(key) if "-" in key else key  # no key mapper changes what was declared
    return DeclaredSlot(field.name, key, slot_kind(field), field)


def _fields(cls: type) -> Iterable[Any]:
    fields: Iterable[Any] | None = getattr(cls, "__attrs_attrs__", None)
    if fields is None:
        return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    own = [vars(base).get("__attrs_attrs__", ()) for base in reversed(cls.__mro__)]
    names = [field.name for each in own for field in each if not field.inherited]
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    if len(place) == len(names):  # none is declared again
        return fields
    return sorted(fields, key=lambda field: place.get(field.name, len(place)))

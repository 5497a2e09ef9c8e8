"""The slots that an attrs class or a dataclass declares: in which order, under which keys."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import ModelError, StateDictError
from caten_sd.objects.slots import KEY, Field, SlotKind, checked_key, checked_kind, slot_kind
from caten_sd.state.keys import Name
from caten_sd.wording import a_or_an


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
    """The slots of a class, the attribute of each path element, and what is wrong with them."""

    slots: tuple[DeclaredSlot, ...]
    attributes: Mapping[str | None, str]
    fault: str


@functools.lru_cache(maxsize=4096)
def _slot_table(cls: Any) -> _SlotTable:
    slots = tuple(map(_declared, _fields(cls)))
    caches = {each.element: each.name for each in slots if each.kind == "cache"}
    stored = {each.element: each.name for each in slots if each.kind != "cache"}
    faults = (*_misdeclared(cls, slots), *_shared_keys(cls, slots))
    return _SlotTable(slots, caches | stored, next(iter(faults), ""))


def _misdeclared(cls: type, slots: Iterable[DeclaredSlot]) -> Iterator[str]:
    for each in slots:
        try:
            checked_kind(each.kind)
            if each.field.metadata.get(KEY) is not None:
                checked_key(each.element)
        except ModelError as error:
            yield f"the slot {each.name} of {cls.__name__}: {error}"


def _shared_keys(cls: type, slots: Iterable[DeclaredSlot]) -> Iterator[str]:
    first: dict[str | None, str] = {}
    for each in slots:
        if each.kind == "cache":
            continue
        if (other := first.setdefault(each.element, each.name)) != each.name:
            yield (
                f"the slots {other} and {each.name} of {cls.__name__} both have the key "
                f"{each.element!r}; declare another key for one of them"
            )


def declared_slots(cls: type) -> tuple[DeclaredSlot, ...]:
    """Return the slots of an attrs class or a dataclass, those of its bases first.

    A slot that a subclass declares again keeps its base's place, as in CLOS and in dataclasses;
    attrs would put it last.
    """
    return _slot_table(cls).slots


def slot_values(owner: Any) -> Iterator[tuple[str | int, Any, SlotKind]]:
    """Yield (path element, value, kind) for each declared slot that was ever set.

    StateDictError if two slots have one key, with both names, or if a declaration means nothing.
    """
    cls: Any = type(owner)
    if fault := _slot_table(cls).fault:
        raise StateDictError(fault)
    for each in declared_slots(cls):
        if hasattr(owner, each.name):
            value = getattr(owner, each.name)
            if each.element is None:
                yield from ((n, item, each.kind) for n, item in _items(owner, each, value))
            else:
                yield each.element, value, each.kind


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


def _declared(field: Field) -> DeclaredSlot:
    element = field.metadata.get(KEY, field.name)
    if KEY in field.metadata and isinstance(element, str):
        element = Name(element)  # no key mapper changes what was declared
    return DeclaredSlot(field.name, element, slot_kind(field), field)


def _fields(cls: type) -> Iterable[Any]:
    fields: Iterable[Any] | None = getattr(cls, "__attrs_attrs__", None)
    if fields is None:
        return _data_fields(cls)
    own = [each for base in reversed(cls.__mro__) for each in _own_fields(base)]
    found = {each.name: each for each in own}  # the place of the first, declared as the last
    if dataclasses.is_dataclass(cls):  # one of the bases is, and attrs does not know its slots
        return found.values()
    if len(found) == len(own):  # none is declared again
        return fields
    place = {name: at for at, name in enumerate(found)}
    return sorted(fields, key=lambda field: place.get(field.name, len(place)))


def _own_fields(cls: type) -> list[Any]:
    """Return the fields that a class itself declares, without those of its bases."""
    own = [each for each in vars(cls).get("__attrs_attrs__", ()) if not each.inherited]
    if "__dataclass_fields__" in vars(cls):
        inherited = {id(each) for base in cls.__mro__[1:] for each in _data_fields(base)}
        own += [each for each in _data_fields(cls) if id(each) not in inherited]
    return own


def _data_fields(cls: type) -> tuple[Any, ...]:
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()

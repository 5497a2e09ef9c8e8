"""Declare what a slot of a class is, and the key that it has in a state dict.

A slot is plain state unless it is declared otherwise: a `buffer()` is saved and moves with the
model but is not trained, `buffer(persistent=False)` moves but is not saved, and `transient()` does
neither, as a KV cache. Its key is its name unless ``key="MLP.0"`` declares another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol, get_args

import attrs

from caten_sd.errors import ModelError, StateDictError

SLOT, KEY = "caten_sd.slot", "caten_sd.key"  # in the metadata of a field

SlotKind = Literal["state", "buffer", "computed", "cache", "random", "intermediate"]
SAVED: tuple[SlotKind, ...] = ("state", "buffer")
# The kinds of slots that hold what a call leaves behind; "random" is the state of a generator.
PASSING: tuple[SlotKind, ...] = ("cache", "random", "intermediate")
OPTIONAL: tuple[SlotKind, ...] = ("computed", *PASSING)

Kinds = str | Collection[str]


class Field(Protocol):
    """A field of an attrs class or of a dataclass."""

    @property
    def name(self) -> str:
        """The attribute of the instances."""

    @property
    def metadata(self) -> Mapping[Any, Any]:
        """What the class declares about the field."""


def slot(*, key: str, **field: Any) -> Any:
    """Declare the key of an attrs slot that no Python name can say: "MLP.0", "a.b", "lambda".

    The key is kept as it is, dots and hyphens included, and is one element of the path, as the
    Lisp symbol that names a slot in Caten is. The other keywords are those of `attrs.field`.

    >>> from caten_sd.objects.extract import to_state_dict
    >>> import numpy
    >>> @attrs.define
    ... class Net:
    ...     first: object = slot(key="MLP.0")
    >>> to_state_dict(Net({"weight": numpy.zeros(1)}), [])
    [(['MLP.0', 'weight'], array([0.]))]
    """
    return _declare("state", key, field)


def buffer(*, persistent: bool = True, key: str | None = None, **field: Any) -> Any:
    """Declare an attrs slot a buffer; with `persistent=False` it is not saved.

    The other keywords are those of `attrs.field`.

    >>> @attrs.define
    ... class Mask:
    ...     mask: object = buffer(default=None)
    >>> slot_kind(attrs.fields(Mask).mask)
    'buffer'
    """
    return _declare("buffer" if persistent else "computed", key, field)


def transient(*, key: str | None = None, **field: Any) -> Any:
    """Declare an attrs slot transient: never saved, restored or moved (a cache, a trace).

    A file may still hold a leaf under its key, as of a cache that another library saved.

    >>> @attrs.define
    ... class Attention:
    ...     k_cache: object = transient(default=None)
    >>> slot_kind(attrs.fields(Attention).k_cache)
    'cache'
    """
    return _declare("cache", key, field)


def inlined(**field: Any) -> Any:
    """Declare an attrs slot that holds a list whose items are slots of the owner itself.

    The path of such an item has its number, and not the name of the list.
    """
    metadata = {**(field.pop("metadata", None) or {}), KEY: None}
    return attrs.field(metadata=metadata, **field)


def slot_metadata(*, kind: SlotKind = "state", key: str | None = None) -> dict[str, str]:
    """Return the metadata that declares a field of a dataclass, as `slot` declares one of attrs.

    >>> import dataclasses
    >>> @dataclasses.dataclass
    ... class Net:
    ...     first: object = dataclasses.field(metadata=slot_metadata(key="MLP.0"))
    """
    declared = {SLOT: checked_kind(kind)}
    return declared if key is None else {**declared, KEY: checked_key(key)}


def checked_kind(kind: Any) -> str:
    """Return the kind that a slot may have; ModelError for any other."""
    if kind in get_args(SlotKind):
        return str(kind)
    raise ModelError(
        f"{kind!r} cannot be the kind of a slot; declare one of {', '.join(get_args(SlotKind))}"
    )


def with_included(include: Kinds) -> frozenset[str]:
    """Return the kinds of slots that are saved, and the others that ``include`` names.

    StateDictError for what is not the kind of such a slot.
    """
    asked = tuple(include) if isinstance(include, Collection) else (include,)
    asked = (include,) if isinstance(include, str) else asked
    for kind in asked:
        if kind not in OPTIONAL:
            raise StateDictError(
                f"include={kind!r} is not a kind of slot that is left out: include one or more of "
                f"{', '.join(OPTIONAL)}"
            )
    return frozenset((*SAVED, *asked))


def checked_key(key: Any) -> str:
    """Return a key that a slot may have; ModelError for any other."""
    if isinstance(key, str) and all(key.split(".")) and key.isprintable():
        return key
    raise ModelError(
        f"{key!r} cannot be the key of a slot; declare text without control characters, and with "
        f"a character before, after and between its dots"
    )


def slot_kind(attribute: Field) -> SlotKind:
    """Return how a slot was declared: "buffer", "computed", "cache", or else "state"."""
    kind: SlotKind = attribute.metadata.get(SLOT, "state")
    return kind


def _declare(kind: SlotKind, key: str | None, field: dict[str, Any]) -> Any:
    metadata = {**(field.pop("metadata", None) or {}), **slot_metadata(kind=kind, key=key)}
    return attrs.field(metadata=metadata, **field)

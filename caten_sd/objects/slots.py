"""Declare what a slot of an attrs class is: state, a buffer or a cache.

A slot is plain state unless it is declared otherwise: a `buffer()` is saved and moves with the
model but is not trained, `buffer(persistent=False)` moves but is not saved, and `transient()` does
neither, as a KV cache.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

__all__ = ["SLOT", "SlotKind", "buffer", "slot_kind", "transient"]

SLOT = "caten_sd.slot"

SlotKind = Literal["state", "buffer", "computed", "transient"]


def buffer(*, persistent: bool = True, **field: Any) -> Any:
    """Declare an attrs slot a buffer; with `persistent=False` it is not saved.

    The other keywords are those of `attrs.field`.

    >>> @attrs.define
    ... class Mask:
    ...     mask: object = buffer(default=None)
    >>> slot_kind(attrs.fields(Mask).mask)
    'buffer'
    """
    return _declare("buffer" if persistent else "computed", field)


def transient(**field: Any) -> Any:
    """Declare an attrs slot transient: never saved, restored or moved (a cache, a trace).

    >>> @attrs.define
    ... class Attention:
    ...     k_cache: object = transient(default=None)
    >>> slot_kind(attrs.fields(Attention).k_cache)
    'transient'
    """
    return _declare("transient", field)


def slot_kind(attribute: attrs.Attribute[Any]) -> SlotKind:
    """Return how a slot was declared: "buffer", "computed", "transient", or else "state"."""
    kind: SlotKind = attribute.metadata.get(SLOT, "state")
    return kind


def _declare(kind: SlotKind, field: dict[str, Any]) -> Any:
    metadata = {**(field.pop("metadata", None) or {}), SLOT: kind}
    return attrs.field(metadata=metadata, **field)

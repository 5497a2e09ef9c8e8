"""What a slot of an attrs class is, said where the slot is declared.

A slot is plain state unless it says otherwise: a `buffer()` is saved and moved but not trained,
`buffer(persistent=False)` is moved but not saved, and `transient()` is neither, as a KV cache.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

__all__ = ["SLOT", "SlotKind", "buffer", "slot_kind", "transient"]

SLOT = "caten_sd.slot"

SlotKind = Literal["state", "buffer", "computed", "transient"]


def buffer(*, persistent: bool = True, **field: Any) -> Any:
    """Declare an attrs slot a buffer; `persistent=False` rebuilds it instead of saving it.

    What else an `attrs.field` takes goes in as keywords.

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
    """Say what a slot was declared as: "buffer", "computed", "transient", or else "state"."""
    kind: SlotKind = attribute.metadata.get(SLOT, "state")
    return kind


def _declare(kind: SlotKind, field: dict[str, Any]) -> Any:
    metadata = {**(field.pop("metadata", None) or {}), SLOT: kind}
    return attrs.field(metadata=metadata, **field)

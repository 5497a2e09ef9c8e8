"""Which key of the state dict feeds which slot, and what becomes of each: the rows of a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import attrs

from caten_sd.fit import judge, same_values
from caten_sd.place import assign
from caten_sd.report import Outcome, Row
from caten_sd.slots import slot_kind
from caten_sd.state_dict import StateDict, spec_or_none


def match(obj: Any, slots: StateDict, source: StateDict) -> list[Row]:
    """Return one row per slot, in the model's order, then one per key that feeds none."""
    names: dict[str, list[str]] = {}
    for key in slots:
        names.setdefault(slots.ties.get(key, key), []).append(key)
    # A method may be added between two loads, so what has one is remembered for one load only.
    has_method = functools.cache(lambda *types: bool(assign.methods(*types)))
    first_rows = {
        key: _row(key, slots[key], fed_by, source, has_method)
        for key, tied in names.items()
        for fed_by in [next((name for name in tied if name in source), None)]
    }
    rows = [
        _tied_row(key, first_rows[slots.ties[key]], slots, source)
        if key in slots.ties
        else first_rows[key]
        for key in slots
    ]
    used = {row.source for row in rows}
    return rows + [_unused_row(obj, key, leaf) for key, leaf in source.items() if key not in used]


def _row(
    key: str, place: Any, fed_by: str | None, source: StateDict, has_method: Callable[..., bool]
) -> Row:
    """Judge a slot by the key that feeds it: its own, or the first of its tied names in the source."""
    slot = spec_or_none(place)
    if fed_by is None:
        return Row(key, Outcome.MISSING, slot)
    value = source[fed_by]
    leaf = spec_or_none(value)
    if slot is None or leaf is None:  # extra state takes any value, a tensor takes a tensor
        return Row(key, Outcome.DTYPE if slot else Outcome.LOADED, slot, leaf, fed_by)
    outcome, note = judge(slot, leaf)
    if outcome in (Outcome.LOADED, Outcome.CAST):
        writeable = getattr(getattr(place, "flags", None), "writeable", True)  # numpy's word
        if not writeable or not has_method(type(place), type(value)):
            outcome, note = Outcome.UNASSIGNABLE, f"a {type(place).__name__} that takes no value"
    return Row(key, outcome, slot, leaf, fed_by, note)


def _tied_row(key: str, first: Row, slots: StateDict, source: StateDict) -> Row:
    """Judge a further name of a slot: satisfied with the first, unless the source contradicts."""
    row = attrs.evolve(first, key=key, source=key if key in source else None)
    if first.outcome not in (Outcome.LOADED, Outcome.CAST):
        return row
    note = f"tied to {first.key}"
    if row.source is None or first.source is None or key == first.source:
        return attrs.evolve(row, outcome=Outcome.TIED, note=note)
    here, there = source[key], source[first.source]
    if here is there or same_values(here, there):
        return attrs.evolve(row, outcome=Outcome.TIED, note=note)
    return attrs.evolve(row, outcome=Outcome.CONFLICT, note=f"differs from {first.source}")


def _unused_row(obj: Any, key: str, leaf: Any) -> Row:
    computed = _is_computed(obj, key)
    outcome = Outcome.COMPUTED if computed else Outcome.UNEXPECTED
    return Row(key, outcome, leaf=spec_or_none(leaf), source=key)


def _is_computed(obj: Any, key: str) -> bool:
    """Tell whether the object itself makes what lies under this key: a non-persistent buffer."""
    *path, name = key.split(".")
    owner = obj
    for part in path:
        index = part.isdecimal() and isinstance(owner, (list, tuple))
        try:
            owner = owner[int(part)] if index else getattr(owner, part)
        except (AttributeError, IndexError):
            return False
    fields = getattr(type(owner), "__attrs_attrs__", ())
    declared = any(f.name == name and slot_kind(f) in ("computed", "transient") for f in fields)
    # The second is where torch.nn.Module keeps the names of what it computes.
    return declared or name in getattr(owner, "_non_persistent_buffers_set", ())

"""A load: planned first, slot by slot and key by key, then applied whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from caten_sd.errors import LoadError, LoadWarning
from caten_sd.extract import KeyMapper, get_state_dict, pytorch_style_dict_key
from caten_sd.fit import is_exact, largest_error
from caten_sd.grouping import group_keys
from caten_sd.matching import match
from caten_sd.place import Slot, assign, slot_at
from caten_sd.report import FITS, WORDS, LoadPlan, LoadReport, Outcome, Row
from caten_sd.state_dict import StateDict, as_state_dict
from caten_sd.tensor import BlockTensor, LazyTensor, Numpy, as_array

T = TypeVar("T")


def load_state_dict(
    obj: T,
    state_dict: Mapping[str, Any],
    *,
    silent: bool = False,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    strict: bool = False,
    assign: bool = False,
) -> T:
    """Load a state dict into an object and return the same object, changed.

    ``key_mapper`` maps the object's paths to the state dict's keys. What does not fit is warned
    about, once per kind, unless ``silent``; with ``strict`` it is a LoadError and nothing is
    touched. A wrong shape is never loaded, nor a float into an integer; a load of nothing is an
    error in every mode. ``assign`` adopts the leaves, in their dtype, without a copy.
    """
    plan = plan_load(obj, state_dict, key_mapper=key_mapper, assign=assign)
    if strict and not plan.fits:
        raise LoadError(f"{plan}\nnothing was changed", plan)
    report = plan.apply()
    if not silent:
        _warn(report)
    return obj


def plan_load(
    obj: Any,
    state_dict: Mapping[str, Any],
    *,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    assign: bool = False,
) -> LoadPlan:
    """Return what ``load_state_dict`` would do, having touched nothing; ``print`` it.

    ``apply()`` raises LoadError, and touches nothing, where nothing would be loaded, tied names
    differ in the file, or a slot takes no value.
    """
    slots = get_state_dict(obj, key_mapper=key_mapper)
    source = as_state_dict(state_dict)
    return LoadPlan(
        type(obj).__name__,
        match(obj, slots, source),
        apply=lambda plan: _apply(plan, obj, slots, source, assign),
    )


def _apply(
    plan: LoadPlan, obj: Any, slots: StateDict, source: StateDict, adopt: bool
) -> LoadReport:
    """Make sure that every value can be had and every slot can take one; then write them all."""
    _refuse(plan)
    rows = plan.of(Outcome.LOADED, Outcome.CAST)
    values = {row.key: _certain(row, source) for row in rows}
    adopting = {row.key: _adopting(row, obj, slots) for row in rows if adopt or _is_new(row, slots)}
    for row in rows:
        place, value = slots[row.key], values.pop(row.key)
        if row.key not in adopting:
            assign(place, value)
            continue
        new = as_array(place, value) if row.slot else value
        for slot in adopting[row.key]:  # one object under every name, so that ties hold
            assign(slot, new)
    done = [_measured(row, slots, source) if row.key not in adopting else row for row in plan.rows]
    return LoadReport(plan.model, done, plan.notes, plan.cause, plan.fix)


def _refuse(plan: LoadPlan) -> None:
    """Raise for what no mode allows."""
    if plan.rows and not plan.of(*FITS):
        raise LoadError(f"nothing would be loaded: {plan}\nnothing was changed", plan)
    if plan.of(Outcome.CONFLICT, Outcome.UNASSIGNABLE):
        raise LoadError(f"{plan}\nnothing was changed", plan)


def _is_new(row: Row, slots: StateDict) -> bool:
    """Tell a slot whose present value cannot be written into.

    That is a tensor on torch's meta device, which has no storage, or extra state, which has none.
    """
    return row.slot is None or bool(getattr(slots[row.key], "is_meta", False))


def _adopting(row: Row, obj: Any, slots: StateDict) -> list[Slot]:
    names = [row.key, *(alias for alias, first in slots.ties.items() if first == row.key)]
    return [slot_at(obj, slots.paths[name]) for name in names]


def _certain(row: Row, source: StateDict) -> Any:
    """Return the leaf in a form whose bytes are sure to be there once the writing has begun."""
    leaf = source[row.source or row.key]
    try:
        return _in_memory(leaf)
    except Exception as error:
        raise LoadError(
            f"{row.source} cannot be read ({error}); nothing was changed, so get the file again"
        ) from error


def _in_memory(leaf: Any) -> Any:
    if isinstance(leaf, LazyTensor):
        return leaf if leaf.source.mapped else as_array(Numpy(), leaf)
    if isinstance(leaf, BlockTensor):
        return BlockTensor(leaf.block_type, _in_memory(leaf.raw), leaf.shape)
    return leaf


def _measured(row: Row, slots: StateDict, source: StateDict) -> Row:
    """Add to a cast that can lose something what it lost."""
    if row.outcome is not Outcome.CAST or row.slot is None or row.leaf is None:
        return row
    if is_exact(row.leaf.dtype, row.slot.dtype):
        return row
    error = largest_error(source[row.source or row.key], slots[row.key])
    return attrs.evolve(row, error=error)


def _warn(report: LoadReport) -> None:
    """Warn once per kind of what was left undone, with the report attached."""
    for outcome in (Outcome.SHAPE, Outcome.DTYPE, Outcome.MISSING, Outcome.UNEXPECTED):
        keys = [row.key for row in report.of(outcome)]
        if keys:
            groups = _first(list(map(str, group_keys(keys))))
            message = f"{len(keys)} {WORDS[outcome]}, not loaded: {groups}"
            warnings.warn(LoadWarning(message, report), stacklevel=3)


def _first(groups: Sequence[str]) -> str:
    rest = f" and {len(groups) - 4} more patterns" if len(groups) > 4 else ""
    return ", ".join(groups[:4]) + rest

"""A load: planned first, slot by slot and key by key, then applied whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from caten_sd.errors import CatenError, LoadError, LoadWarning
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.matching import Matching
from caten_sd.loading.moves import Move, Moves
from caten_sd.loading.named_leaves import match_names, offer
from caten_sd.loading.nested_state import put_together, with_others
from caten_sd.loading.plan_of import by_type
from caten_sd.loading.policy import Patterns, Policy, Repair
from caten_sd.loading.report import FAULTS, FITS, WORDS, LoadPlan, LoadReport, LoadRow, Outcome
from caten_sd.loading.value_check import finding
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.shards import (
    ProcessGroup,
    agreeing,
    local_shard,
    process_group_of,
    refusing_together,
)
from caten_sd.state.compare import is_exact, largest_error
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import KeyMapper, pytorch_style_dict_key
from caten_sd.state.leaf import spec
from caten_sd.state.state_dict import StateDict, as_state_dict

T = TypeVar("T")


def load_state_dict(
    obj: T,
    state_dict: Mapping[str, Any],
    *,
    silent: bool = False,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    strict: bool = False,
    assign: bool = False,
    allow_missing: Patterns = (),
    allow_unexpected: Patterns = (),
    on_mismatch: Mapping[str, Repair] | None = None,
    rename: Mapping[str, str] | None = None,
    dtype: Any = None,
    map_location: Any = None,
    check: str | None = None,
) -> T:
    """Load a state dict into an object and return the same object, changed.

    What does not fit is warned about, once per kind, unless ``silent``; with ``strict`` it is a
    LoadError and nothing is touched. A wrong shape is never loaded, nor a float into an integer; a
    load of nothing is an error in every mode. The other options are those of ``plan_load``.
    """
    with refusing_together(lambda: get_state_dict(obj).values()):
        plan = plan_load(
            obj,
            state_dict,
            key_mapper=key_mapper,
            assign=assign,
            allow_missing=allow_missing,
            allow_unexpected=allow_unexpected,
            on_mismatch=on_mismatch,
            rename=rename,
            dtype=dtype,
            map_location=map_location,
            check=check,
        )
        if strict and not (plan.fits and plan.sound):
            raise LoadError(f"{plan}\nnothing was changed", plan)
    report = plan.apply()
    if not silent:
        _warn(report)
    return obj


@by_type
@collector_paused()
def plan_load(
    obj: Any,
    state_dict: Mapping[str, Any],
    *,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    assign: bool = False,
    allow_missing: Patterns = (),
    allow_unexpected: Patterns = (),
    on_mismatch: Mapping[str, Repair] | None = None,
    rename: Mapping[str, str] | None = None,
    dtype: Any = None,
    map_location: Any = None,
    check: str | None = None,
) -> LoadPlan:
    """Return what ``load_state_dict`` would do, having touched nothing; ``print`` it.

    ``key_mapper`` maps the object's paths to keys, and ``rename`` how a key of the file begins to
    how the model's does ({"model.h.{i}": "h.{i}"}). ``assign`` adopts the leaves without a copy.
    ``allow_missing``, ``allow_unexpected`` (glob patterns) and ``on_mismatch`` (pattern -> skip,
    pad_rows(), trim_rows(), fill(value) or a function) say what may differ. ``dtype`` is
    "to_model", "keep" (as with ``assign``), a name, or one of these for each pattern.
    ``map_location`` is as for ``torch.load``; left out, leaves go where the slot is. With
    ``check="values"`` all data is read, and NaN, Inf, all zeros and slots that nothing is written
    to are named.

    ``apply()`` raises LoadError, and touches nothing, where nothing would be loaded, tied names
    differ in the file, or a slot takes no value.
    """
    source = as_state_dict(state_dict)
    policy = Policy(allow_missing, allow_unexpected, on_mismatch, dtype, check)
    inside = LoadTarget(obj, get_state_dict(obj, key_mapper=key_mapper), key_mapper)
    slots = inside.slots
    given = match_names(offer(with_others(source, inside.no_tensors), rename or {}), inside.names)
    put_together(given, source, inside.no_tensors)
    inside.adapt(given, getattr(state_dict, "_metadata", None))
    matching = Matching(obj, inside, given, policy, keep=assign)
    rows = matching.rows()
    if policy.looks:
        moving = {move.key: move for move in matching.moves()}
        rows = [_looked_at(row, moving.get(row.key)) for row in rows]
    idle = policy.idle([*slots, *(row.key for row in rows)])
    name = type(obj).__name__
    return LoadPlan(
        name,
        rows,
        [*([f"read from {source.origin}"] if source.origin else []), *given.notes, *idle],
        *_cause(name, slots, source, rows),
        apply=lambda plan: _apply(plan, inside, _moves(matching, assign, map_location)),
    )


def _cause(model: str, slots: StateDict, file: StateDict, rows: list[LoadRow]) -> tuple[str, str]:
    """Return the likely cause of what does not fit and the line that mends it, or "" for both."""
    if not any(row.outcome in FAULTS for row in rows):
        return "", ""
    from caten_sd.loading.causes import Case, likely_cause  # all layouts come with it

    return likely_cause(Case(model, slots, file, rows)) or ("", "")


def _looked_at(row: LoadRow, move: Move | None) -> LoadRow:
    """Say what is odd in a value, or that the slot keeps the one it has."""
    if move is not None and not move.extra:
        try:
            return attrs.evolve(row, finding=finding(move.leaf))
        except CatenError as error:
            raise LoadError(f"{row.key} cannot be read ({error}); nothing was changed") from error
    kept = row.slot is not None and row.outcome not in FITS
    return attrs.evolve(row, finding="never written") if kept else row


def _moves(matching: Matching, adopt: bool, location: Any) -> Moves:
    every = adopt or location is not None
    moves = [_in_its_slot(move, every) for move in matching.moves()]
    obj, slots, aliases = matching.obj, matching.slots, matching.aliases
    return Moves(obj, slots, aliases, moves, adopt=adopt, location=location)


def _in_its_slot(move: Move, every: bool) -> Move:
    """Tell a slot whose present value cannot be written into, as on torch's meta device."""
    new = every or move.extra or move.recast or bool(getattr(move.place, "is_meta", False))
    return attrs.evolve(move, new=True) if new and not move.unit else move


@collector_paused()
def _apply(plan: LoadPlan, inside: LoadTarget, moves: Moves) -> LoadReport:
    """Refuse what no mode allows; then make the moves, and measure what casts have lost."""
    processes = process_group_of(moves.slots.values())
    said = [(row.key, row.outcome.value, row.source) for row in plan.rows] if processes else None
    with agreeing(processes, said):
        _refuse(plan)
        made_ready = _with_plan(plan, moves.made_ready)
    placed = _with_plan(plan, lambda: moves.make(made_ready))
    leaves = {move.key: move.leaf for move in moves.moves}
    rows = [_measured(row, leaves.get(row.key), placed.get(row.key)) for row in plan.rows]
    rows = _of_all(rows, processes) if processes else rows
    report = LoadReport(plan.model, rows, plan.notes, plan.cause, plan.fix)
    inside.tell(report)
    return report


def _refuse(plan: LoadPlan) -> None:
    if plan.rows and not plan.of(*FITS):
        raise LoadError(f"nothing would be loaded: {plan}\nnothing was changed", plan)
    if plan.of(Outcome.CONFLICT, Outcome.UNASSIGNABLE):
        raise LoadError(f"{plan}\nnothing was changed", plan)


def _with_plan(plan: LoadPlan, deed: Callable[[], T]) -> T:
    """Do it, and attach the plan to what is refused in it."""
    try:
        return deed()
    except LoadError as error:
        error.plan = plan
        raise


def _of_all(rows: Sequence[LoadRow], processes: ProcessGroup) -> list[LoadRow]:
    """Return the rows with the largest error over all processes, each of which saw its own part."""
    seen = [row.error for row in rows if row.error is not None]
    largest = iter(processes.largest(seen))
    return [row if row.error is None else attrs.evolve(row, error=next(largest)) for row in rows]


def _measured(row: LoadRow, leaf: Any, placed: Any) -> LoadRow:
    """Add to a cast that can lose something what it lost."""
    if row.outcome is not Outcome.CAST or row.leaf is None:
        return row
    if is_exact(row.leaf.dtype, spec(placed).dtype):
        return row
    own = local_shard(placed)
    return attrs.evolve(row, error=largest_error(own.slice_of(leaf), own.place))


def _warn(report: LoadReport) -> None:
    """Warn once per kind of what was left undone, with the report attached."""
    for outcome in (Outcome.SHAPE, Outcome.DTYPE, Outcome.MISSING, Outcome.UNEXPECTED):
        keys = [row.key for row in report.of(outcome)]
        if keys:
            groups = few_keys(keys, 4, "pattern")
            message = f"{len(keys)} {WORDS[outcome]}, not loaded: {groups}"
            warnings.warn(LoadWarning(message, report), stacklevel=3)
    if not report.sound:
        keys = [row.key for row in report.rows if "NaN" in row.finding or "Inf" in row.finding]
        message = f"{len(keys)} with NaN or Inf, loaded: {few_keys(keys, 4, 'pattern')}"
        warnings.warn(LoadWarning(message, report), stacklevel=3)

"""Load a state dict into an object: planned slot by slot, then applied whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, TypeVar

from caten_sd.errors import CatenError, LoadError, LoadWarning
from caten_sd.errors.caller import caller_level
from caten_sd.loading.apply import apply
from caten_sd.loading.file_layout import under_own_names
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.matching import matched
from caten_sd.loading.misfit import Case
from caten_sd.loading.moves import How, Moves, with_synthesized_merged
from caten_sd.loading.named_leaves import NamedLeaves, by_own_keys, match_names
from caten_sd.loading.nested_state import put_together, with_others
from caten_sd.loading.owners import hooks_of
from caten_sd.loading.policy import Patterns, Policy, Repair
from caten_sd.loading.report import (
    FAULTS,
    FITS,
    LoadPlan,
    LoadReport,
    LoadRow,
    Outcome,
    require_fit,
)
from caten_sd.loading.slot_matcher import PlannedRow, SlotMatcher
from caten_sd.loading.value_check import finding
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.shards import refusing_together
from caten_sd.objects.slots import Kinds
from caten_sd.state.gc_pause import collector_paused
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import KeyMapper, pytorch_style_dict_key
from caten_sd.state.options import checked_options
from caten_sd.state.state_dict import StateDict, as_state_dict

T = TypeVar("T")


@checked_options()
@collector_paused()
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
    check_values: bool = False,
    include: Kinds = (),
) -> T:
    """Load a state dict, by default leniently: what does not fit is only warned about.

    Returns the same object, changed. There is one warning for each kind of problem, and none if
    ``silent``; if ``strict``, a problem is a LoadError and nothing is changed. In every mode a
    wrong shape is never loaded, nor a float into an integer, and a load of nothing is an error.
    The other options are those of ``plan_load``.

    Ctrl-C while ``assign`` puts leaves into their slots leaves the object as it was. A load that
    copies, as all others do, writes into the old arrays: interrupted there, some parameters are
    new and some are old, and the object is to be loaded again.
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
            check_values=check_values,
            include=include,
        )
        if strict:
            require_fit(plan)
    report = plan.apply(unchanged=True)
    if not silent:
        warn_of(report)
    return obj


@checked_options()
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
    check_values: bool = False,
    include: Kinds = (),
) -> LoadPlan:
    """Return what ``load_state_dict`` would do, without changing anything; ``print`` it.

    ``key_mapper`` maps the object's paths to keys. ``rename`` maps the beginnings of the file's
    keys to those of the model's ({"model.h.{i}": "h.{i}"}). ``assign`` adopts the leaves without
    a copy. ``allow_missing``, ``allow_unexpected`` (glob patterns) and ``on_mismatch`` (pattern ->
    skip, pad_rows(), trim_rows(), fill(value) or a function) allow differences. ``dtype`` is
    "to_model", "keep" (the default with ``assign``; within a kind: an integer never takes a float's
    place), a name, or a mapping of patterns to these.
    ``map_location`` is as for ``torch.load``; without it, leaves go to the device of their slot.
    ``check_values`` reads all data, and names NaN, Inf, all zeros and slots that get no value.
    ``include`` names kinds of slots that are otherwise left as they are, as for ``get_state_dict``.

    ``apply()`` raises LoadError, and changes nothing, if nothing would be loaded, if names that
    are tied or slots that share memory differ in the file, or if a slot cannot be changed. A
    validator or a setter that looks at values is not called by the plan, which reads none: where
    one refuses what ``assign`` or ``dtype`` puts into its slot, ``apply()`` puts all slots back and
    raises LoadError.
    """
    options = {
        "key_mapper": key_mapper,
        "assign": assign,
        "allow_missing": allow_missing,
        "allow_unexpected": allow_unexpected,
        "on_mismatch": on_mismatch,
        "rename": rename,
        "dtype": dtype,
        "map_location": map_location,
        "check_values": check_values,
        "include": include,
    }
    return hooks_of(obj).plan(state_dict, options, _plan_by_slot)


def _plan_by_slot(obj: Any, state_dict: Mapping[str, Any], **options: Any) -> LoadPlan:
    return plan_with_moves(obj, state_dict, **options)[0]


@collector_paused()
def plan_with_moves(
    obj: Any,
    state_dict: Mapping[str, Any],
    *,
    key_mapper: KeyMapper,
    assign: bool,
    rename: Mapping[str, str] | None,
    map_location: Any,
    include: Kinds = (),
    anew: type[Moves] | None = None,
    **rules: Any,
) -> tuple[LoadPlan, Moves]:
    """Return the plan of a load slot by slot, and the moves that carry it out.

    ``anew`` are the moves to make if the load is to leave the object as it is.
    """
    source = as_state_dict(state_dict)
    policy = Policy(**rules)
    target = LoadTarget(obj, key_mapper, include)
    named = _named(source, target, rename or {}, state_dict)
    replace = assign or map_location is not None or anew is not None
    matcher = SlotMatcher(
        target, named, policy, adopt=assign, replace=replace, anew=anew is not None
    )
    planned = matched(matcher)
    made = with_synthesized_merged(each.move for each in planned if each.move is not None)
    moves = (anew or Moves)(target, made, map_location)
    rows = [_checked(each) if policy.checks_values else each.row for each in planned]
    name = type(obj).__name__
    # A file is judged by the names that its tensors have after the conversions of the library.
    file = source.with_entry(named.leaves) if named.converted else source
    plan = LoadPlan(
        name,
        rows,
        _notes(source, named, policy, chain(target.slots, (row.key for row in rows))),
        *_cause(Case(name, target.slots, file, rows, hasattr(obj, "get_submodule"), obj)),
        apply=lambda plan, unchanged: apply(plan, moves, unchanged=unchanged)[0],
    )
    return plan, moves


def _named(
    source: StateDict, target: LoadTarget, renames: Mapping[str, str], given: Mapping[str, Any]
) -> NamedLeaves:
    """Return the file's leaves under the names of the target's slots."""
    nested, slots = target.nested_slots, target.slots.entry
    named = by_own_keys(with_others(source, nested, slots), renames)
    named = under_own_names(named, target)
    named = match_names(named, target.knows)
    named = put_together(named, source.others, nested, slots)
    return target.adapted(named, given)


def _notes(source: StateDict, named: NamedLeaves, policy: Policy, keys: Iterable[str]) -> list[str]:
    origin = [f"read from {source.origin}"] if source.origin else []
    return [*origin, *named.notes, *policy.unused(keys)]


def _cause(case: Case) -> tuple[str, str]:
    """Return the likely cause of what does not fit and the line that mends it, or two ""."""
    if not any(row.outcome in FAULTS for row in case.rows):
        return "", ""
    from caten_sd.loading.causes import likely_cause  # all layouts come with it

    return likely_cause(case) or ("", "")


def _checked(planned: PlannedRow) -> LoadRow:
    """Return the row with what is odd in its value, or that its slot gets none."""
    row, move = planned.row, planned.move
    if move is not None and move.how in (How.COPY, How.REPLACE):
        try:
            return row._replace(finding=finding(move.leaf))
        except CatenError as error:
            raise LoadError(f"{row.key} cannot be read ({error}); nothing was changed") from error
    unfilled = row.slot is not None and row.outcome not in FITS
    return row._replace(finding="never written") if unfilled else row


def warn_of(report: LoadReport) -> None:
    """Warn once for each kind of problem, with the report attached."""
    kinds = (Outcome.SHAPE, Outcome.DTYPE, Outcome.UNREAD, Outcome.MISSING, Outcome.UNEXPECTED)
    for outcome in kinds:
        keys = [row.key for row in report.of(outcome)]
        if keys:
            groups = few_keys(keys, 4, "pattern")
            message = f"{len(keys)} {outcome.value}, not loaded: {groups}"
            warnings.warn(LoadWarning(message, report), stacklevel=caller_level())
    if not report.sound:
        keys = [row.key for row in report.rows if "NaN" in row.finding or "Inf" in row.finding]
        message = f"{len(keys)} with NaN or Inf, loaded: {few_keys(keys, 4, 'pattern')}"
        warnings.warn(LoadWarning(message, report), stacklevel=caller_level())

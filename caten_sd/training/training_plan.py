"""The plan of a training state: its model's as of any model, and with it that of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.policy import Policy
from caten_sd.loading.report import FITS, LoadPlan, LoadReport, LoadRow, Outcome
from caten_sd.state.leaf import DTYPES, Numpy, as_array, spec_of
from caten_sd.state.state_dict import StateDict, spec_or_none
from caten_sd.training.components import ComponentPlan, Undo, plan_component
from caten_sd.training.saved_training import SavedTraining

STEP = "step"


@attrs.frozen
class Model:
    """A model as a slot, so that its keys are those of a training state."""

    model: Any


def plan_training(
    training: Any,
    *,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any],
    by_slot: Callable[..., LoadPlan],
) -> LoadPlan:
    """Return what loading a training state would do, each key under its name in the file."""
    given = SavedTraining(state_dict, options.get("rename"))
    model = by_slot(Model(training.model), _model_state(given), **options)
    parts = [
        plan_component(part, at=name, given=given, model=training.model)
        for name, part in training.parts()
    ]
    parts.append(_plan_step(training, given))
    policy = _policy(options)
    rows = list(model.rows)
    for part in parts:
        rows += [_allowed(row, policy) for row in part.rows]
    rows += [_allowed(row, policy) for row in _left(given, rows)]
    notes = [*_notes(model, policy, rows), *(note for part in parts for note in part.notes)]
    return LoadPlan(
        type(training).__name__,
        rows,
        notes,
        model.cause,
        model.fix,
        apply=lambda plan: _apply(plan, model, parts),
    )


def plan_alone(part: Any, *, state_dict: Mapping[str, Any], options: Mapping[str, Any]) -> LoadPlan:
    """Return what loading a part by itself would do: an optimizer that knows its names."""
    given = SavedTraining(state_dict, options.get("rename"))
    planned = plan_component(part, at="", given=given, model=None)
    policy = _policy(options)
    rows = [*planned.rows, *_left(given, planned.rows)]
    rows = [_allowed(row, policy) for row in rows]
    name = type(part).__name__
    return LoadPlan(name, rows, planned.notes, apply=lambda plan: _apply(plan, None, [planned]))


def _model_state(given: SavedTraining) -> StateDict:
    state = given.below("model")
    state.metadata.update(given.metadata or {})
    return state


def _policy(options: Mapping[str, Any]) -> Policy:
    return Policy(options.get("allow_missing", ()), options.get("allow_unexpected", ()))


def _allowed(row: LoadRow, policy: Policy) -> LoadRow:
    """Return the row as the caller's patterns have it."""
    for outcome, rules, name in (
        (Outcome.MISSING, policy.missing, "allow_missing"),
        (Outcome.UNEXPECTED, policy.unexpected, "allow_unexpected"),
    ):
        if row.outcome is outcome and (rule := rules.find(row.key)):
            note = "; ".join(filter(None, [row.note, f"as {name}={rule.pattern!r} allows"]))
            return attrs.evolve(row, outcome=Outcome.SKIPPED, note=note)
    return row


def _notes(plan: LoadPlan, policy: Policy, rows: Sequence[LoadRow]) -> list[str]:
    """Return the model's notes without those on patterns that fit another part."""
    idle = set(policy.idle(row.key for row in rows))
    known = set(policy.idle(())) - idle
    return [note for note in plan.notes if note not in known]


def _left(given: SavedTraining, rows: Sequence[LoadRow]) -> list[LoadRow]:
    """Return a row for each key that no part has spoken of."""
    told = {row.key for row in rows} | {row.source for row in rows}
    left = [key for key in given.leaves if key not in told]
    return [
        LoadRow(key, Outcome.UNEXPECTED, leaf=spec_or_none(given.leaves[key]), source=key)
        for key in left
    ]


def _plan_step(training: Any, given: SavedTraining) -> ComponentPlan:
    slot = spec_of((), DTYPES["int64"])
    leaf = given.leaves.get(STEP, given.others.get(STEP))
    if leaf is None:
        return ComponentPlan([LoadRow(STEP, Outcome.MISSING, slot)], _change_nothing)
    known = spec_or_none(leaf)
    row = LoadRow(STEP, Outcome.LOADED, slot, known or slot, STEP)
    if (known and known.shape) or (not known and not isinstance(leaf, int)):
        return ComponentPlan([attrs.evolve(row, outcome=Outcome.SHAPE)], _change_nothing)

    def prepare() -> Callable[[], Undo]:
        step = int(as_array(Numpy(), leaf)) if known else int(leaf)
        return lambda: _set_step(training, step)

    return ComponentPlan([row], prepare)


def _set_step(training: Any, step: int) -> Undo:
    before, training.step = training.step, step
    return lambda: setattr(training, "step", before)


def _change_nothing() -> Callable[[], Undo]:
    return lambda: lambda: None


def _apply(plan: LoadPlan, model: LoadPlan | None, parts: Sequence[ComponentPlan]) -> LoadReport:
    """Make sure of every value first; then change the parts and the model, or none of them."""
    if plan.rows and not plan.of(*FITS):
        raise LoadError(f"nothing would be loaded: {plan}\nnothing was changed", plan)
    if plan.of(Outcome.CONFLICT, Outcome.UNASSIGNABLE):
        raise LoadError(f"{plan}\nnothing was changed", plan)
    undos: list[Undo] = []
    try:
        for commit in [part.prepare() for part in parts]:
            undos.append(commit())
        report = model.apply() if model is not None else None
    except BaseException as error:
        for undo in reversed(undos):
            undo()
        if isinstance(error, LoadError):
            error.plan = plan
        raise
    done = {row.key: row for row in report.rows} if report is not None else {}
    errors = {key: lost for part in parts for key, lost in part.errors.items()}
    rows = [
        attrs.evolve(row, error=errors[row.key]) if row.key in errors else done.get(row.key, row)
        for row in plan.rows
    ]
    return LoadReport(plan.model, rows, plan.notes, plan.cause, plan.fix)

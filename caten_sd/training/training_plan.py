"""Plan a load of a training state: its model as any model, and each of its components."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caten_sd.errors import LoadError
from caten_sd.loading.misfit import Cause
from caten_sd.loading.policy import Policy
from caten_sd.loading.report import LoadPlan, LoadReport, LoadRow, Outcome, require_loadable
from caten_sd.objects.extract import get_state_dict
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Numpy, as_array, spec_of, spec_or_none
from caten_sd.state.state_dict import StateDict
from caten_sd.state.training_keys import STEP
from caten_sd.training.components import (
    Commit,
    ComponentPlan,
    FilledComponent,
    Undo,
    component_of,
    prepare_nothing,
)
from caten_sd.training.filled_parts import FilledParts, PartsPlanner
from caten_sd.training.saved_training import SavedTraining

# The line that loads a model's state dict together with what its file has beside it.
_BESIDE = (
    'load_state_dict(model, {**{f"model.{key}": leaf for key, leaf in state_dict.items()}, '
    "**state_dict.rest})"
)


def plan_training(
    training: Any,
    state_dict: Mapping[str, Any],
    options: Mapping[str, Any],
    by_slot: Callable[..., LoadPlan],
) -> LoadPlan:
    """Return what loading a training state would do, each key under its name in the file."""
    saved = SavedTraining(state_dict, options.get("rename"))
    components = {name: component_of(each) for name, each in training.components()}
    filled = {n: each.held for n, each in components.items() if isinstance(each, FilledComponent)}
    planner = PartsPlanner(training, saved, options, by_slot)
    replaceable = ["model", *filled] if len(filled) == len(components) else [*filled]
    parts = planner.plan({"model": training.model, **filled}, replaceable)
    plans = [
        *parts.anew.values(),
        *(c.plan(n, saved, training.model) for n, c in components.items() if n not in filled),
        _plan_step(training, saved),
    ]
    policy = _policy(options)
    rows = list(parts.in_place.rows) if parts.in_place is not None else []
    for plan in plans:
        rows += [_allowed(row, policy) for row in plan.rows]
    rows += [_allowed(row, policy) for row in _left(saved, rows)]
    return LoadPlan(
        type(training).__name__,
        rows,
        _notes([parts.in_place, *plans], policy, rows),
        *(_model_alone(training, state_dict) or parts.cause),
        apply=lambda plan, unchanged: _apply_to(training, plan, parts, plans, unchanged),
    )


def _apply_to(
    training: Any,
    plan: LoadPlan,
    parts: FilledParts,
    plans: Sequence[ComponentPlan],
    unchanged: bool,
) -> LoadReport:
    report = _apply(plan, parts.in_place, plans, unchanged)
    for name, held in parts.replaced().items():
        setattr(training, name, held)
    return report


def _model_alone(training: Any, state_dict: Mapping[str, Any]) -> Cause | None:
    """Return a cause if the model's tree was read alone from a file that has the components, too.

    There is a line only if the tree is this model's, and every component is next to it.
    """
    rest = state_dict.rest if isinstance(state_dict, StateDict) else {}
    names = [name for name, _ in training.components()]
    found = [name for name in names if name in rest]
    if not found:
        return None
    whole = found == names and _is_all_of(training.model, state_dict)
    return Cause(
        f"the file has {', '.join(found)} next to the model, whose tree was read alone: "
        f'read the whole file, with root=""',
        _BESIDE if whole else "",
    )


def _is_all_of(model: Any, state_dict: Mapping[str, Any]) -> bool:
    """Return whether the state dict has the keys of the model, and no value beside tensors."""
    others = state_dict.others if isinstance(state_dict, StateDict) else {}
    return not others and set(state_dict) == set(get_state_dict(model))


def plan_alone(
    component: Any, state_dict: Mapping[str, Any], options: Mapping[str, Any]
) -> LoadPlan:
    """Return what loading a component alone would do: an optimizer that knows its names."""
    saved = SavedTraining(state_dict, options.get("rename"))
    planned = component_of(component).plan("", saved, None)
    policy = _policy(options)
    rows = [*planned.rows, *_left(saved, planned.rows)]
    rows = [_allowed(row, policy) for row in rows]
    name = type(component).__name__
    return LoadPlan(name, rows, planned.notes, apply=lambda plan, _: _apply(plan, None, [planned]))


def _policy(options: Mapping[str, Any]) -> Policy:
    return Policy(options.get("allow_missing", ()), options.get("allow_unexpected", ()))


def _allowed(row: LoadRow, policy: Policy) -> LoadRow:
    """Return the row, as SKIPPED if a pattern of the caller allows it."""
    for outcome, rules, name in (
        (Outcome.MISSING, policy.missing, "allow_missing"),
        (Outcome.UNEXPECTED, policy.unexpected, "allow_unexpected"),
    ):
        if row.outcome is outcome and (rule := rules.find(row.key)):
            note = "; ".join(filter(None, [row.note, f"as {name}={rule.pattern!r} allows"]))
            return row._replace(outcome=Outcome.SKIPPED, note=note)
    return row


def _notes(
    plans: Sequence[LoadPlan | ComponentPlan | None], policy: Policy, rows: Sequence[LoadRow]
) -> list[str]:
    """Return the notes without those about patterns that match a key of another part."""
    unused = set(policy.unused(row.key for row in rows))
    known = set(policy.unused(())) - unused
    notes = [note for plan in plans if plan is not None for note in plan.notes]
    return [note for note in dict.fromkeys(notes) if note not in known]


def _left(saved: SavedTraining, rows: Sequence[LoadRow]) -> list[LoadRow]:
    """Return a row for each key that is in none of the rows."""
    known = {row.key for row in rows} | {row.source for row in rows}
    left = [key for key in saved.leaves if key not in known]
    return [
        LoadRow(key, Outcome.UNEXPECTED, leaf=spec_or_none(saved.leaves[key]), source=key)
        for key in left
    ]


def _plan_step(training: Any, saved: SavedTraining) -> ComponentPlan:
    slot = spec_of((), DTYPES["int64"])
    leaf = saved.leaves.get(STEP, saved.others.get(STEP))
    if leaf is None:
        return ComponentPlan([LoadRow(STEP, Outcome.MISSING, slot)], prepare_nothing)
    known = spec_or_none(leaf)
    row = LoadRow(STEP, Outcome.LOADED, slot, known or slot, STEP)
    if (known and known.shape) or (not known and not isinstance(leaf, int)):
        return ComponentPlan([row._replace(outcome=Outcome.SHAPE)], prepare_nothing)

    def prepare() -> Commit:
        step = int(as_array(Numpy(), leaf)) if known else int(leaf)
        return lambda: _set_step(training, step)

    return ComponentPlan([row], prepare)


def _set_step(training: Any, step: int) -> Undo:
    before, training.step = training.step, step
    return lambda: setattr(training, "step", before)


def _apply(
    plan: LoadPlan,
    model: LoadPlan | None,
    plans: Sequence[ComponentPlan],
    unchanged: bool = False,
) -> LoadReport:
    """Check every value first; then change the components and the model, or none of them."""
    require_loadable(plan)
    undos: list[Undo] = []
    try:
        for commit in [each.prepare() for each in plans]:
            undos.append(commit())
        report = model.apply(unchanged=unchanged) if model is not None else None
    except BaseException as error:
        for undo in reversed(undos):
            undo()
        if isinstance(error, LoadError):
            error.plan = plan
        raise
    done = {row.key: row for row in report.rows} if report is not None else {}
    errors = {key: error for each in plans for key, error in each.errors.items()}
    rows = [
        row._replace(error=errors[row.key]) if row.key in errors else done.get(row.key, row)
        for row in plan.rows
    ]
    return LoadReport(plan.model, rows, plan.notes, plan.cause, plan.fix)

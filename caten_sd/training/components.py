"""What a training has besides its model: how a component's state is taken, planned and loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.saved_leaf import live, saved_leaves
from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.training_keys import VALUES
from caten_sd.training.saved_training import SavedTraining
from caten_sd.wording import a_or_an

Undo = Callable[[], None]
Commit = Callable[[], Undo]


@attrs.frozen
class ComponentPlan:
    """What a load would do to one component.

    ``prepare()`` reads and checks every value without side effects and returns ``commit``.
    ``commit()`` applies the values and returns ``undo``. ``errors`` gives the largest error of each
    cast, by the file's key; it is filled by ``prepare()``.
    """

    rows: list[LoadRow]
    prepare: Callable[[], Commit]
    notes: list[str] = attrs.field(factory=list)
    errors: dict[str, float] = attrs.field(factory=dict)


@generic
def component_tree(component: Any, /, *, model: Any) -> Any:
    """Return a component's state: plain containers of plain values and tensors, by its own names.

    An optimizer's parameters get their names from ``model``.
    """
    raise NotImplementedError


@generic
def restore(component: Any, tree: Any, /) -> None:
    """Give a component the state that ``component_tree`` returned; it may keep the arrays."""
    raise NotImplementedError


@generic
def plan_component(
    component: Any, /, *, prefix: str, saved: SavedTraining, model: Any
) -> ComponentPlan:
    """Return what loading the file's state under ``prefix`` would do to a component."""
    raise NotImplementedError


@component_tree.register(object)
def _own_tree(component: Any, /, *, model: Any) -> Any:
    """Ask the component for its ``state_dict()``, which schedulers, scalers and loaders have."""
    if not hasattr(component, "state_dict") or not hasattr(component, "load_state_dict"):
        raise StateDictError(
            f"{a_or_an(type(component).__name__)} cannot be in a training state: it needs the "
            f"methods "
            f"state_dict() and load_state_dict(state)"
        )
    return {"class": type(component).__name__, "state": component.state_dict()}


@restore.register(object)
def _restore_own(component: Any, tree: Any, /) -> None:
    component.load_state_dict(tree["state"])


@plan_component.register(object)
def _plan_own(component: Any, /, *, prefix: str, saved: SavedTraining, model: Any) -> ComponentPlan:
    """Plan for a component that takes its state in one piece."""
    values = f"{prefix}.{VALUES}"
    tree = saved.tree(prefix)
    known = spec_or_none(saved.leaves.get(values))
    if tree is None or not isinstance(tree, Mapping):
        row = _without_state(LoadRow(values, Outcome.MISSING), tree, prefix)
        return ComponentPlan([row], prepare_nothing)
    name = type(component).__name__
    row = LoadRow(values, Outcome.LOADED, known, known, values if known else None)
    if "class" not in tree or "state" not in tree:  # another tool's: what state_dict() returned
        tree = {"class": name, "state": tree}
    if tree["class"] != name:
        note = (
            f"the file has the state of {tree['class']}, and here is {name}; leave this component "
            f"out of the training state to keep what is here"
        )
        row = attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=note)
        return ComponentPlan([row], prepare_nothing)
    rows = [row] + [
        LoadRow(leaf.key, Outcome.LOADED, spec, spec, leaf.key)
        for leaf in saved_leaves(tree)
        for spec in [spec_or_none(leaf.leaf)]
    ]
    return ComponentPlan(rows, lambda: _prepared(component, prefix, tree))


def _without_state(row: LoadRow, tree: Any, prefix: str) -> LoadRow:
    if tree is None:
        return row
    note = f"{prefix} in the file is {a_or_an(type(tree).__name__)}, which holds no state"
    return attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=note)


def _prepared(component: Any, prefix: str, saved: Any) -> Commit:
    tree = live(saved)
    before = deepcopy(component_tree(component, model=None))

    def undo() -> None:
        restore(component, before)

    def commit() -> Undo:
        try:
            restore(component, tree)
        except Exception as error:
            undo()
            why = error if isinstance(error, CatenError) else f"{type(error).__name__}: {error}"
            raise LoadError(f"{prefix} cannot be loaded ({why}); nothing was changed") from error
        return undo

    return commit


def prepare_nothing() -> Commit:
    """Return a commit that changes nothing."""
    return lambda: lambda: None

"""The parts of a training beside its model: what their state is, and how it gets back into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.plain_values import live, saved_leaves
from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.training_keys import VALUES
from caten_sd.training.saved_training import SavedTraining

Undo = Callable[[], None]


@attrs.frozen
class ComponentPlan:
    """What a load would do to one part.

    ``prepare`` makes sure of every value, touching nothing, and returns what then changes the
    part; that returns how to undo it. ``errors`` gives what casts have lost, known after the load.
    """

    rows: list[LoadRow]
    prepare: Callable[[], Callable[[], Undo]]
    notes: list[str] = attrs.field(factory=list)
    errors: dict[str, float] = attrs.field(factory=dict)


@generic
def component_tree(part: Any, /, *, model: Any) -> Any:
    """Return the state of a part: plain containers, plain values and tensors, under its own names.

    ``model`` is what an optimizer's parameters are named by.
    """
    raise NotImplementedError


@generic
def restore(part: Any, tree: Any, /) -> None:
    """Give a part the state that ``component_tree`` gave, with arrays of its own."""
    raise NotImplementedError


@generic
def plan_component(part: Any, /, *, at: str, given: SavedTraining, model: Any) -> ComponentPlan:
    """Return what loading what the file has at ``at`` would do to a part."""
    raise NotImplementedError


@component_tree.register(object)
def _by_its_own(part: Any, /, *, model: Any) -> Any:
    """Ask the part for its ``state_dict()``, as schedulers, scalers and data loaders have one."""
    if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
        raise StateDictError(
            f"a {type(part).__name__} cannot be part of a training state: it needs a state_dict() "
            f"and a load_state_dict(state)"
        )
    return {"class": type(part).__name__, "state": part.state_dict()}


@restore.register(object)
def _load_its_own(part: Any, tree: Any, /) -> None:
    part.load_state_dict(tree["state"])


@plan_component.register(object)
def _plan_whole(part: Any, /, *, at: str, given: SavedTraining, model: Any) -> ComponentPlan:
    """Plan for a part that takes its state as one."""
    text = f"{at}.{VALUES}"
    tree = given.tree(at)
    known = spec_or_none(given.leaves.get(text))
    if tree is None or not isinstance(tree, Mapping):
        return ComponentPlan([_refused(LoadRow(text, Outcome.MISSING), tree, at)], _nothing)
    name = type(part).__name__
    row = LoadRow(text, Outcome.LOADED, known, known, text if known else None)
    if "class" not in tree or "state" not in tree:  # another tool's, as the part itself wrote it
        tree = {"class": name, "state": tree}
    if tree["class"] != name:
        return ComponentPlan([attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=(
            f"it is of a {tree['class']}, and here is a {name}; leave this part out of the "
            f"training state to keep what is here"))], _nothing)  # fmt: skip
    rows = [row] + [
        LoadRow(leaf.key, Outcome.LOADED, spec, spec, leaf.key)
        for leaf in saved_leaves(tree)
        for spec in [spec_or_none(leaf.leaf)]
    ]
    return ComponentPlan(rows, lambda: _prepared(part, at, tree))


def _refused(row: LoadRow, tree: Any, at: str) -> LoadRow:
    if tree is None:
        return row
    note = f"{at} in the file is a {type(tree).__name__} that says nothing of a state"
    return attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=note)


def _prepared(part: Any, at: str, saved: Any) -> Callable[[], Undo]:
    tree = live(saved)
    before = deepcopy(component_tree(part, model=None))

    def undo() -> None:
        restore(part, before)

    def commit() -> Undo:
        try:
            restore(part, tree)
        except Exception as error:
            undo()
            why = error if isinstance(error, CatenError) else f"{type(error).__name__}: {error}"
            raise LoadError(f"{at} cannot be loaded ({why}); nothing was changed") from error
        return undo

    return commit


def _nothing() -> Callable[[], Undo]:
    return lambda: lambda: None

"""What a training has besides its model: how a component's state is taken, planned and loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import attrs

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError, LoadError, StateDictError
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.objects.containers import containers
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import slots_of
from caten_sd.objects.slots import SAVED
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.plain_values import tree_pairs
from caten_sd.state.saved_leaf import live, saved_leaves
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


class Component:
    """What a training does with one of its components: take its state, plan a load, restore it.

    This class is for an object with ``state_dict()`` and ``load_state_dict(state)``, which takes
    its state in one piece, as schedulers, scalers and data loaders do.
    """

    def __init__(self, held: Any) -> None:
        self.held = held

    def tree(self, model: Any = None) -> Any:
        """Return the state: plain containers of plain values and tensors, by the object's names.

        An optimizer's parameters get their names from ``model``.
        """
        name = type(self.held).__name__
        if not hasattr(self.held, "state_dict") or not hasattr(self.held, "load_state_dict"):
            raise StateDictError(
                f"{a_or_an(name)} cannot be in a training state: it needs the methods "
                f"state_dict() and load_state_dict(state), or slots with nothing but arrays"
            )
        return {"class": name, "state": self.held.state_dict()}

    def pairs(self, parent: Path, model: Any = None) -> list[Pair]:
        """Return the state as pairs of path and leaf, all below ``parent``."""
        return tree_pairs(self.tree(model), parent)

    def restore(self, tree: Any) -> None:
        """Give the object the state that ``tree`` returned; it may keep the arrays."""
        self.held.load_state_dict(tree["state"])

    def plan(self, prefix: str, saved: SavedTraining, model: Any) -> ComponentPlan:
        """Return what loading the file's state under ``prefix`` would do to the object."""
        values = f"{prefix}.{VALUES}"
        tree = saved.tree(prefix)
        known = spec_or_none(saved.leaves.get(values))
        if tree is None or not isinstance(tree, Mapping):
            row = _without_state(LoadRow(values, Outcome.MISSING), tree, prefix)
            return ComponentPlan([row], prepare_nothing)
        name = type(self.held).__name__
        row = LoadRow(values, Outcome.LOADED, known, known, values if known else None)
        if "class" not in tree or "state" not in tree:  # another tool's: what state_dict() returned
            tree = {"class": name, "state": tree}
        if tree["class"] != name:
            note = (
                f"the file has the state of {tree['class']}, and here is {name}; leave this "
                f"component out of the training state to keep what is here"
            )
            row = row._replace(outcome=Outcome.UNASSIGNABLE, note=note)
            return ComponentPlan([row], prepare_nothing)
        rows = [row] + [
            LoadRow(leaf.key, Outcome.LOADED, spec, spec, leaf.key)
            for leaf in saved_leaves(tree)
            for spec in [spec_or_none(leaf.leaf)]
        ]
        return ComponentPlan(rows, lambda: self._prepared(prefix, tree))

    def _prepared(self, prefix: str, saved: Any) -> Commit:
        tree = live(saved)
        before = deepcopy(self.tree())

        def undo() -> None:
            self.restore(before)

        def commit() -> Undo:
            try:
                self.restore(tree)
            except Exception as error:
                undo()
                why = error if isinstance(error, CatenError) else f"{type(error).__name__}: {error}"
                raise LoadError(
                    f"{prefix} cannot be loaded ({why}); nothing was changed"
                ) from error
            return undo

        return commit


@generic
def component_of(held: Any, /) -> Component:
    """Return what a training does with an object that is one of its components."""
    raise NotImplementedError


class FilledComponent(Component):
    """A component whose arrays lie in slots; it is saved, and loaded, as a model is."""

    def pairs(self, parent: Path, model: Any = None) -> list[Pair]:
        """Return the arrays under their paths."""
        return to_state_dict(self.held, parent)


@component_of.register(object)
def _by_what_it_has(held: Any, /) -> Component:
    if hasattr(held, "state_dict") or not _is_filled(held):
        return Component(held)
    return FilledComponent(held)


def _is_filled(held: Any) -> bool:
    """Return whether an object is a leaf or holds nothing but leaves, so that none of it is lost.

    A number or a text in a slot would be, and so would the state of an optimizer of torch.
    """
    if spec_or_none(held) is not None:
        return True
    slots = (slot for each in containers(held) for slot in each.slots)
    inner = (value for _, value, kind in slots if kind in SAVED)
    return _is_owner(held) and all(map(_is_kept, inner))


def _is_kept(value: Any) -> bool:
    return value is None or callable(value) or spec_or_none(value) is not None or _is_owner(value)


def _is_owner(held: Any) -> bool:
    return slots_of(held) is not None and type(hooks_of(held)).plan is OwnerHooks.plan


def _without_state(row: LoadRow, tree: Any, prefix: str) -> LoadRow:
    if tree is None:
        return row
    note = f"{prefix} in the file is {a_or_an(type(tree).__name__)}, which holds no state"
    return row._replace(outcome=Outcome.UNASSIGNABLE, note=note)


def prepare_nothing() -> Commit:
    """Return a commit that changes nothing."""
    return lambda: lambda: None

"""Which state of a file goes to which parameter of an optimizer, and what its groups become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.loading.judge import judge
from caten_sd.loading.named_leaves import NamedLeaves, match_names
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import DType, Spec
from caten_sd.state.plain_values import SavedLeaf, saved_leaves
from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.training_keys import VALUES
from caten_sd.training.live_optimizer import Filling, LiveOptimizer, OptimizerPlan
from caten_sd.training.order import proven_names
from caten_sd.training.param_groups import fitted_groups
from caten_sd.training.saved_optimizer import SavedOptimizer, saved_optimizer
from caten_sd.training.saved_training import SavedTraining

GOOD = (Outcome.LOADED, Outcome.CAST)


def plan_optimizer(live: LiveOptimizer, given: SavedTraining, at: str) -> OptimizerPlan:
    """Return what loading the file's optimizer does; LoadError where names cannot be had.

    Nothing is read but shapes, dtypes and the text of plain values.
    """
    plan = OptimizerPlan(groups=[{} for _ in live.groups])
    text = joined_key(at, VALUES)
    tree = given.tree(at)
    if tree is None:
        plan.rows.append(LoadRow(text, Outcome.MISSING))
        return plan
    saved = saved_optimizer(tree, at)
    if (known := spec_or_none(given.leaves.get(text))) is not None:
        plan.rows.append(LoadRow(text, Outcome.LOADED, known, known, text))
    if saved.kind and saved.kind != live.kind:
        row = plan.rows[0] if plan.rows else LoadRow(text, Outcome.LOADED)
        note = f"of a {saved.kind} in the file, and here is a {live.kind}: make one of its kind"
        plan.rows[:1] = [attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=note)]
        plan.rows += [_unexpected(leaf) for leaf in saved_leaves(tree)]
        return plan
    _Fitting(live, given, at, plan).fit(saved)
    return plan


class _Fitting:
    """One file's optimizer laid upon a live one."""

    def __init__(
        self, live: LiveOptimizer, given: SavedTraining, at: str, plan: OptimizerPlan
    ) -> None:
        self.live, self.given, self.at, self.plan = live, given, at, plan
        self.file_params: dict[str, Spec] = {}

    def fit(self, saved: SavedOptimizer) -> None:
        if not saved.has_names:
            shapes = {name: spec.shape for name, spec in self.live.params.items()}
            saved = saved.named(proven_names(saved, shapes))
            self._note("positions only; who is who is proven by shapes, or makes no difference")
        mine = self._renamed(saved)
        if self.live.order_matters and mine.flat != [n for g in self.live.members for n in g]:
            raise LoadError(
                f"the state of {self.live.kind} speaks of its parameters in their order, and the "
                f"file has them in another; nothing was changed: give them in the file's order"
            )
        for name in mine.flat:
            self._fit_state(name, mine.state.get(name, {}))
        for name in self.live.params:
            if name not in mine.flat:
                note = "the file's optimizer has no such parameter; its state starts anew"
                self.plan.rows.append(
                    LoadRow(joined_key(self.at, f"state.{name}"), Outcome.MISSING, note=note)
                )
        rows, notes, self.plan.groups = fitted_groups(self.live, mine, self.at)
        self.plan.rows += rows
        self.plan.notes += notes

    def _note(self, text: str) -> None:
        self.plan.notes.append(f"{self.at or 'optimizer'}: {text}")

    def _renamed(self, saved: SavedOptimizer) -> SavedOptimizer:
        """Return the file's optimizer under the names that parameters have here."""
        live = self.live
        own = {name: name for name in live.params} | dict(live.aliases)
        asked = self.given.renamed(saved.flat, "model" if self.at else "")
        if len(set(asked.values())) < len(asked):
            raise LoadError("the renames make two parameters of the optimizer one; keep them apart")
        found = match_names(
            NamedLeaves(dict.fromkeys(asked.values()), {new: old for old, new in asked.items()}),
            own.__contains__,
        )
        for note in found.notes:
            self._note(note)
        names = {str(found.key(name)): own.get(name, name) for name in found.leaves}
        if len(set(names.values())) < len(names):
            raise LoadError(
                "two parameters of the file's optimizer are one here, as their names are tied; "
                "nothing was changed: save it from the tied model"
            )
        self.file_params = {
            names[old]: spec
            for old in saved.flat
            if (spec := spec_or_none(self.given.leaves.get(f"model.{old}"))) is not None
        }
        return saved.named(names)

    def _fit_state(self, name: str, slots: Mapping[str, Any]) -> None:
        if name not in self.live.params:
            self.plan.rows += [_unexpected(leaf) for leaf in saved_leaves(slots)]
            return
        fillings: dict[str, Any] = {}
        rows = []
        for slot, value in slots.items():
            fillings[slot], found = self._filled(name, slot, value)
            rows += found
        if any(row.outcome not in GOOD for row in rows):
            # An optimizer with some of its slots stops, or goes wrong, at its next step.
            note = "left out, as another slot of its parameter does not fit"
            rows = [
                attrs.evolve(r, outcome=Outcome.SKIPPED, note=note) if r.outcome in GOOD else r
                for r in rows
            ]
        elif fillings:
            self.plan.state[name] = fillings
        self.plan.rows += rows

    def _filled(self, name: str, slot: str, value: Any) -> tuple[Any, list[LoadRow]]:
        if isinstance(value, SavedLeaf):
            row, dtype = self._judged(name, slot, value)
            return Filling(value, dtype), [row]
        if isinstance(value, (list, tuple)):
            filled = [self._filled(name, "", child) for child in value]
            return [one for one, _ in filled], [row for _, rows in filled for row in rows]
        return value, []

    def _judged(self, name: str, slot: str, saved: SavedLeaf) -> tuple[LoadRow, DType]:
        leaf = spec_or_none(saved.leaf)
        row = LoadRow(saved.key, Outcome.LOADED, leaf, leaf, saved.key)
        if leaf is None:
            note = f"a {getattr(saved.leaf, 'name', type(saved.leaf).__name__)}, which is no tensor"
            raise LoadError(f"{saved.key} is {note}; nothing was changed")
        wanted = self._wanted(name, slot, leaf)
        outcome, note = judge(wanted, leaf)
        return attrs.evolve(row, outcome=outcome, slot=wanted, note=note), wanted.dtype

    def _wanted(self, name: str, slot: str, leaf: Spec) -> Spec:
        """Return the shape and dtype that a slot has to have here.

        A slot that is there says so itself; one that is not follows its parameter where it did so
        in the file, and where the file does not tell, as torch would have it.
        """
        here = spec_or_none(self.live.state.get(name, {}).get(slot))
        if here is not None:
            return here
        param, then = self.live.params[name], self.file_params.get(name)
        if then is None:
            follows = bool(leaf.shape) and slot != "step" and leaf.dtype.kind == "float"
            dtype = param.dtype if follows and param.dtype.kind == "float" else leaf.dtype
            return leaf._replace(shape=_fitting(leaf.shape, param.shape), dtype=dtype)
        dtype = param.dtype if leaf.dtype == then.dtype and leaf.shape else leaf.dtype
        shape = leaf.shape if then.shape == param.shape else _fitting(leaf.shape, param.shape)
        return leaf._replace(shape=shape, dtype=dtype)


def _fitting(leaf: tuple[int, ...], param: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that state of as many axes as its parameter has: the same, or 1."""
    if len(leaf) != len(param):
        return leaf
    return tuple(1 if size == 1 else wanted for size, wanted in zip(leaf, param, strict=True))


def _unexpected(leaf: SavedLeaf) -> LoadRow:
    return LoadRow(leaf.key, Outcome.UNEXPECTED, leaf=spec_or_none(leaf.leaf), source=leaf.key)

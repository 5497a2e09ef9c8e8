"""Plan a load of an optimizer: which state of the file each parameter and each group gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import LoadError
from caten_sd.loading.judge import judge
from caten_sd.loading.named_leaves import NamedLeaves, match_names
from caten_sd.loading.report import COPIED, LoadRow, Outcome
from caten_sd.state.dtype import DType
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.saved_leaf import SavedLeaf, saved_leaves
from caten_sd.state.steps import Shape
from caten_sd.state.training_keys import VALUES
from caten_sd.training.live_optimizer import LiveOptimizer, OptimizerPlan, SlotTensor
from caten_sd.training.order import proven_names
from caten_sd.training.param_groups import plan_groups
from caten_sd.training.saved_optimizer import SavedOptimizer, saved_optimizer
from caten_sd.training.saved_training import SavedTraining
from caten_sd.wording import a_or_an


def plan_optimizer(live: LiveOptimizer, saved: SavedTraining, prefix: str) -> OptimizerPlan:
    """Return what loading the file's optimizer does; LoadError if names cannot be matched.

    Only shapes, dtypes and the text of plain values are read.
    """
    plan = OptimizerPlan(groups=[{} for _ in live.groups])
    values = joined_key(prefix, VALUES)
    tree = saved.tree(prefix)
    if tree is None:
        plan.rows.append(LoadRow(values, Outcome.MISSING))
        return plan
    optimizer = saved_optimizer(tree, prefix)
    if (known := spec_or_none(saved.leaves.get(values))) is not None:
        plan.rows.append(LoadRow(values, Outcome.LOADED, known, known, values))
    if optimizer.kind and optimizer.kind != live.kind:
        row = plan.rows[0] if plan.rows else LoadRow(values, Outcome.LOADED)
        kind = optimizer.kind
        note = f"the file has the state of {kind}, and here is {live.kind}; build {kind} to load it"
        plan.rows[:1] = [row._replace(outcome=Outcome.UNASSIGNABLE, note=note)]
        plan.rows += [_unexpected(leaf) for leaf in saved_leaves(tree)]
        return plan
    _OptimizerPlanner(live, saved, prefix, plan).add(optimizer)
    return plan


class _OptimizerPlanner:
    """Fills the plan of one load: the file's optimizer into a live one."""

    def __init__(
        self, live: LiveOptimizer, saved: SavedTraining, prefix: str, plan: OptimizerPlan
    ) -> None:
        self.live, self.saved, self.prefix, self.plan = live, saved, prefix, plan
        self.file_params: dict[str, Spec] = {}

    def add(self, optimizer: SavedOptimizer) -> None:
        if not optimizer.has_names:
            shapes = {name: spec.shape for name, spec in self.live.params.items()}
            optimizer = optimizer.named(proven_names(optimizer, shapes))
            self._note(
                "the file knows its parameters by position only; their names are proven by "
                "shapes, or make no difference"
            )
        optimizer = self._renamed(optimizer)
        own_order = [name for group in self.live.members for name in group]
        saved_order = optimizer.flat
        if self.live.order_matters and saved_order != own_order:
            raise LoadError(
                f"the state of {self.live.kind} depends on the order of its parameters, and the "
                f"file has them in another order; nothing was changed: give the parameters in the "
                f"file's order"
            )
        for name in saved_order:
            self._add_state(name, optimizer.state.get(name, {}))
        known = set(saved_order)
        for name in self.live.params:
            if name not in known:
                key = joined_key(self.prefix, f"state.{name}")
                note = "the file's optimizer has no such parameter; its state starts anew"
                self.plan.rows.append(LoadRow(key, Outcome.MISSING, note=note))
        rows, notes, self.plan.groups = plan_groups(self.live, optimizer, self.prefix)
        self.plan.rows += rows
        self.plan.notes += notes

    def _note(self, text: str) -> None:
        self.plan.notes.append(f"{self.prefix or 'optimizer'}: {text}")

    def _renamed(self, optimizer: SavedOptimizer) -> SavedOptimizer:
        """Return the file's optimizer under the names of the live parameters."""
        live = self.live
        own = {name: name for name in live.params} | dict(live.aliases)
        renamed = self.saved.renamed(optimizer.flat, "model" if self.prefix else "")
        if len(set(renamed.values())) < len(renamed):
            raise LoadError(
                "rename= gives two parameters of the file's optimizer one name; nothing was "
                "changed: give each a name of its own"
            )
        found = match_names(
            NamedLeaves(
                dict.fromkeys(renamed.values()), {new: old for old, new in renamed.items()}
            ),
            own.__contains__,
        )
        for note in found.notes:
            self._note(note)
        names = {str(found.key(name)): own.get(name, name) for name in found.leaves}
        if len(set(names.values())) < len(names):
            raise LoadError(
                "two parameters of the file's optimizer are one parameter here, as their names "
                "are tied; nothing was changed: save the optimizer of the tied model"
            )
        self.file_params = {
            names[old]: spec
            for old in optimizer.flat
            if (spec := spec_or_none(self.saved.leaves.get(f"model.{old}"))) is not None
        }
        return optimizer.named(names)

    def _add_state(self, name: str, slots: Mapping[str, Any]) -> None:
        if name not in self.live.params:
            self.plan.rows += [_unexpected(leaf) for leaf in saved_leaves(slots)]
            return
        state: dict[str, Any] = {}
        rows = []
        for slot, value in slots.items():
            state[slot], found = self._planned(name, slot, value)
            rows += found
        if any(row.outcome not in COPIED for row in rows):
            # With some of a parameter's slots only, an optimizer fails or goes wrong at its next
            # step.
            note = "left out, as another slot of its parameter cannot be loaded"
            rows = [
                r._replace(outcome=Outcome.SKIPPED, note=note) if r.outcome in COPIED else r
                for r in rows
            ]
        elif state:
            self.plan.state[name] = state
        self.plan.rows += rows

    def _planned(self, name: str, slot: str, value: Any) -> tuple[Any, list[LoadRow]]:
        """Return the value with a SlotTensor for each tensor, and the tensors' rows."""
        if isinstance(value, SavedLeaf):
            row, dtype = self._judged(name, slot, value)
            return SlotTensor(value, dtype), [row]
        if isinstance(value, (list, tuple)):
            planned = [self._planned(name, "", child) for child in value]
            return [one for one, _ in planned], [row for _, rows in planned for row in rows]
        return value, []

    def _judged(self, name: str, slot: str, saved: SavedLeaf) -> tuple[LoadRow, DType]:
        leaf = spec_or_none(saved.leaf)
        if leaf is None:
            kind = getattr(saved.leaf, "name", type(saved.leaf).__name__)
            raise LoadError(
                f"{saved.key} is {a_or_an(kind)}, which is not a tensor; nothing was changed"
            )
        wanted = self._wanted(name, slot, leaf)
        outcome, note = judge(wanted, leaf)
        return LoadRow(saved.key, outcome, wanted, leaf, saved.key, note), wanted.dtype

    def _wanted(self, name: str, slot: str, leaf: Spec) -> Spec:
        """Return the shape and dtype that a slot must have here.

        A slot that exists has them already. Another one follows its parameter if it did so in the
        file. Where the file does not hold the parameter, it is as torch would make it.
        """
        here = spec_or_none(self.live.state.get(name, {}).get(slot))
        if here is not None:
            return here
        param, saved = self.live.params[name], self.file_params.get(name)
        if saved is None:
            follows = bool(leaf.shape) and slot != "step" and leaf.dtype.kind == "float"
            dtype = param.dtype if follows and param.dtype.kind == "float" else leaf.dtype
            return leaf._replace(shape=_state_shape(leaf.shape, param.shape), dtype=dtype)
        dtype = param.dtype if leaf.dtype == saved.dtype and leaf.shape else leaf.dtype
        same = saved.shape == param.shape
        shape = leaf.shape if same else _state_shape(leaf.shape, param.shape)
        return leaf._replace(shape=shape, dtype=dtype)


def _state_shape(leaf: Shape, param: Shape) -> Shape:
    """Return the shape of state with as many axes as its parameter: 1 stays 1 on each axis."""
    if len(leaf) != len(param):
        return leaf
    return tuple(1 if size == 1 else wanted for size, wanted in zip(leaf, param, strict=True))


def _unexpected(leaf: SavedLeaf) -> LoadRow:
    return LoadRow(leaf.key, Outcome.UNEXPECTED, leaf=spec_or_none(leaf.leaf), source=leaf.key)

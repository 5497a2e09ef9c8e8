"""The parts of a training that are filled slot by slot: its model, and components like a model.

Such a component is an optimizer of NNX, the state of optax, or a random key of JAX. A part that
cannot be changed in place is loaded into a new object, which the training then holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from caten_sd.loading.apply import apply
from caten_sd.loading.load import plan_with_moves
from caten_sd.loading.named_leaves import renamed_as_asked
from caten_sd.loading.report import LoadPlan, LoadRow, Outcome
from caten_sd.loading.with_state import MovesIntoCopy
from caten_sd.state.renames import rules_of
from caten_sd.state.state_dict import StateDict
from caten_sd.training.components import Commit, ComponentPlan, Undo
from caten_sd.training.saved_training import SavedTraining

BySlot = Callable[..., LoadPlan]


class Parts(dict[str, Any]):
    """Holds parts of a training by name, so that their keys are those of the training."""


Parts.__name__ = "TrainingState"  # what messages say that a key is of


@attrs.frozen
class FilledParts:
    """The plan of all parts that are changed in place, and one for each part that is made anew.

    ``in_place`` is None if there is no part of the first kind; of these, ``replaced`` returns those
    that are leaves and have become others, as a random key. ``cause`` is that of the model.
    """

    in_place: LoadPlan | None
    anew: Mapping[str, ComponentPlan]
    cause: tuple[str, str]
    replaced: Callable[[], dict[str, Any]]


class PartsPlanner:
    """Plans the parts of one training, each in place if its owners can be changed."""

    def __init__(
        self, training: Any, saved: SavedTraining, options: Mapping[str, Any], by_slot: BySlot
    ) -> None:
        self.training, self.saved, self.by_slot = training, saved, by_slot
        self.options = dict(options)
        rename, leaves = options.get("rename"), saved.leaves
        self.names = renamed_as_asked(leaves, rename) if rename else {key: key for key in leaves}
        if not isinstance(dtype := options.get("dtype"), (Mapping, type(None))):
            self.options["dtype"] = {"model.*": dtype}  # what is asked for is the model's

    def plan(self, parts: Mapping[str, Any], replaceable: Iterable[str]) -> FilledParts:
        """Return the plan of these parts; of those, the training may get new ``replaceable``."""
        own = Parts(parts)
        whole = self._in_place(own)
        found: dict[str, tuple[LoadPlan, ComponentPlan]] = {}
        for name in replaceable:
            if whole is not None and (stuck := _stuck(whole.rows, name)):
                plan, component = self._anew(name, parts[name])
                if _stuck(plan.rows, name) < stuck:
                    found[name] = plan, component
        if found:
            own = Parts({name: held for name, held in parts.items() if name not in found})
        in_place = self._in_place(own) if found else whole
        model = found["model"][0] if "model" in found else in_place
        cause = (model.cause, model.fix) if model is not None else ("", "")
        anew = {name: component for name, (_, component) in found.items()}
        return FilledParts(
            in_place, anew, cause, lambda: {n: v for n, v in own.items() if v is not parts[n]}
        )

    def _in_place(self, parts: Mapping[str, Any]) -> LoadPlan | None:
        if not parts:
            return None
        state = self._state(parts)
        return self.by_slot(parts, state, **self._options(state))

    def _anew(self, name: str, held: Any) -> tuple[LoadPlan, ComponentPlan]:
        state, part = self._state([name]), Parts({name: held})
        plan, moves = plan_with_moves(part, state, anew=MovesIntoCopy, **self._options(state))
        errors: dict[str, float] = {}

        def prepare() -> Commit:
            report, new = apply(plan, moves, unchanged=True)
            errors.update({row.key: row.error for row in report.rows if row.error is not None})
            return lambda: _given(self.training, name, new[name])

        kind = type(held).__name__
        notes = [*plan.notes, f"{name}: a new {kind} in the training, as this cannot be changed"]
        return plan, ComponentPlan(list(plan.rows), prepare, notes, errors)

    def _state(self, parts: Iterable[str]) -> StateDict:
        """Return the leaves of these parts, which the caller's rules may give their names."""
        wanted = set(parts)
        own = [key for key, name in self.names.items() if name.partition(".")[0] in wanted]
        state = StateDict({key: self.saved.leaves[key] for key in own})
        state.metadata.update(self.saved.metadata or {})
        return state

    def _options(self, state: StateDict) -> dict[str, Any]:
        """Return the options with those rules alone that are for these leaves."""
        rename = self.options.get("rename")
        return {**self.options, "rename": rules_of(state, rename)} if rename else self.options


def _stuck(rows: Iterable[LoadRow], name: str) -> int:
    """Return how many leaves of a part have a slot that cannot be changed."""
    below = f"{name}."
    return sum(
        row.outcome is Outcome.UNASSIGNABLE and (row.key == name or row.key.startswith(below))
        for row in rows
    )


def _given(training: Any, name: str, new: Any) -> Undo:
    before = getattr(training, name)
    setattr(training, name, new)
    return lambda: setattr(training, name, before)

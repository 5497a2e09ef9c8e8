"""Which leaf of the file feeds which slot, and what becomes of each: the rows of a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from caten_sd.dispatch.generic import GenericFunction
from caten_sd.errors import LoadError, NoApplicableMethodError
from caten_sd.loading.judge import judge
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.moves import Move
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.policy import Policy
from caten_sd.loading.repairs import Fill, skip
from caten_sd.loading.report import COPIED, LoadRow, Outcome
from caten_sd.objects.place import assign, follow, ready, refusal, unwrap, wrapper_of
from caten_sd.state.compare import same_values
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec, spec
from caten_sd.state.same_place import same_place
from caten_sd.state.state_dict import spec_or_none


class Matching:
    """The rows of a plan and the moves that would carry it out."""

    def __init__(
        self, obj: Any, inside: LoadTarget, given: NamedLeaves, policy: Policy, keep: bool
    ) -> None:
        self.obj, self.inside, self.given, self.policy = obj, inside, given, policy
        self.slots = inside.slots
        self.default = "keep" if keep else "to_model"
        # Keys and shared values only: tens of thousands of objects more would wake the collector.
        self._fed: dict[str, str] = {}
        self._targets: dict[str, DType] = {}
        self._recast: set[str] = set()
        self._adopted: dict[int, str] = {}
        self._copied: set[str] = set()
        self._units = inside.units
        self._united_moves: dict[int, Move] = {}
        self._special: dict[str, Move] = {}
        self.aliases: dict[str, list[str]] = {}
        for alias, first in self.slots.ties.items():
            self.aliases.setdefault(first, []).append(alias)
        # A method may be added between two loads, so what has one is remembered for one load only.
        self._takes: Callable[..., bool] = functools.cache(_takes)
        self._specs, self._refusals = _Methods(spec), _Methods(refusal)
        self._as_in_model = not keep and not policy.dtypes.rules

    def rows(self) -> list[LoadRow]:
        """Return one row per slot, in the model's order, then one per key that feeds none."""
        found: dict[str, LoadRow] = {}
        for key in self.slots:
            if key in self.aliases:
                found.update((row.key, row) for row in self._slot_rows([key, *self.aliases[key]]))
            elif key not in found:
                found[key] = self._row(key, key)
        rows = [found[key] for key in self.slots]
        unused = [name for name in self.given.leaves if name not in self.slots]
        return rows + [self._unused_row(name) for name in unused]

    def moves(self) -> list[Move]:
        """Return what carries the rows out, made when asked for: not every plan is applied."""
        made = {}
        for key, name in self._fed.items():
            place, leaf = self.slots[key], self.given.leaves[name]
            made[key] = Move(
                key, place, leaf, self._targets[key], key in self._recast, copy=key in self._copied
            )
        return [*(made | self._special).values(), *self._united_moves.values()]

    def _row(self, key: str, name: str) -> LoadRow:
        """Judge the slot ``key`` by the leaf that the file has under ``name``."""
        place, given = self.slots.entry[key], self.given
        slot = self._spec(place)
        if name not in given.leaves:
            return self._missing(LoadRow(key, Outcome.MISSING, slot))
        value = given.leaves[name]
        leaf = self._spec(value)
        source = given.keys.get(name, name) if given.keys else name
        note = "" if source else "made by the model for a file of an older version"
        row = LoadRow(key, Outcome.LOADED, slot, leaf, source, note)
        if key.endswith("_extra_state") and self._is_extra(key):
            self._special[key] = Move(key, place, value, extra=True)
            return row
        if key in self._units:
            return self._united(row, value)
        if leaf is None:
            note = f"a {getattr(value, 'name', type(value).__name__)}, which is no tensor"
            return self._repaired(attrs.evolve(row, outcome=Outcome.DTYPE, note=note), None)
        if (reason := self._refusal(place, value)) is not None:
            return attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=reason)
        if slot is None:  # a lazy module's parameter takes the file's shape
            self._special[key] = Move(key, place, value)
            return attrs.evolve(row, note="it takes the shape of the file")
        if slot == leaf and self._as_in_model:  # as most are, and there may be many
            self._fed[key], self._targets[key] = name, slot.dtype
            return row
        return self._judged(row, name, slot, leaf)

    def _united(self, row: LoadRow, value: Any) -> LoadRow:
        """Judge a slot whose owner makes its leaf up: it goes back with all the others of it."""
        if row.slot is not None and row.leaf is not None:
            outcome, _ = judge(row.slot, row.leaf)
            if outcome not in COPIED:
                return self._repaired(attrs.evolve(row, outcome=outcome), value)
        place = self._units[row.key]
        key = f"the state that {type(place.owner).__name__} makes up with {row.key}"
        move = self._united_moves.setdefault(id(place), Move(key, place, {}, unit=True))
        move.leaf[self.slots.paths[row.key][-1]] = value
        return row

    def _judged(self, row: LoadRow, name: str, slot: Spec, leaf: Spec) -> LoadRow:
        """Judge a slot that may take the leaf by shape and dtype."""
        target = self.policy.target(row.key, slot, leaf, self.default)
        outcome, note = judge(slot, leaf, target)
        if outcome not in COPIED:
            judged = attrs.evolve(row, outcome=outcome, note=note)
            return self._repaired(judged, self.given.leaves[name])
        self._fed[row.key], self._targets[row.key] = name, target
        if self.default == "keep":
            note = note or self._shared_note(row.key, self.given.leaves[name])
        if target != slot.dtype:
            self._recast.add(row.key)
        if outcome is row.outcome and not note:
            return row
        return attrs.evolve(row, outcome=outcome, note=row.note or note)

    def _shared_note(self, key: str, leaf: Any) -> str:
        """Keep slots apart which are not tied, though the file has one leaf for both of them."""
        first = self._adopted.setdefault(id(leaf), key)
        if first == key:
            return ""
        self._copied.add(key)
        return f"a copy, as {first} has the file's own"

    def _spec(self, leaf: Any) -> Spec | None:
        try:
            known: Spec = self._specs[type(leaf)](leaf)
        except NoApplicableMethodError:
            return None
        return known

    def _refusal(self, place: Any, value: Any) -> str | None:
        """Return why the place takes no such value, or None."""
        if reason := self._refusals[type(place)](place):
            return str(reason)
        if self._takes(type(place), type(value)):
            return None
        return f"a {type(place).__name__} that takes no {type(value).__name__}"

    def _missing(self, row: LoadRow) -> LoadRow:
        """Return the row of a slot that the file has nothing for."""
        key, place = row.key, self.slots[row.key]
        if wrapper := wrapper_of(self.obj, self.slots.paths[key]):
            return attrs.evolve(row, outcome=Outcome.COMPUTED, note=f"{wrapper}'s own, kept")
        if allowed := self.policy.missing.find(key):
            note = f"missing, as allow_missing={allowed.pattern!r} allows"
            return attrs.evolve(row, outcome=Outcome.SKIPPED, note=note)
        if (repaired := self._repaired(row, None)) is not row:
            return repaired
        if not getattr(place, "is_meta", False):
            return row
        if key in self.inside.rebuilt:
            self._special[key] = Move(key, place, self.inside.rebuilt[key])
            return attrs.evolve(row, outcome=Outcome.COMPUTED, note="made again by the model")
        return attrs.evolve(row, note="on the meta device, without values")

    def _repaired(self, row: LoadRow, value: Any) -> LoadRow:
        """Return the row as ``on_mismatch`` has it: skipped, or with a leaf made to fit."""
        rule = self.policy.repairs.find(row.key)
        if rule is None or (
            value is None and rule.wish is not skip and type(rule.wish) is not Fill
        ):
            return row
        note = f"{_name(rule.wish)}, as on_mismatch[{rule.pattern!r}] asks"
        if rule.wish is skip:
            return attrs.evolve(row, outcome=Outcome.SKIPPED, note=note)
        return self._made_to_fit(row, value, rule.wish, note)

    def _made_to_fit(
        self, row: LoadRow, value: Any, repair: Callable[..., Any], note: str
    ) -> LoadRow:
        place = self.slots[row.key]
        try:
            made = repair(None if value is None else ready(place, value), place)
            leaf = spec_or_none(made)
        except Exception as error:
            raise LoadError(f"{row.key}: {error}; nothing was changed") from error
        if row.slot is None or leaf is None or leaf.shape != row.slot.shape:
            what = list(leaf.shape) if leaf else type(made).__name__
            wanted = list(row.slot.shape) if row.slot else "a tensor"
            raise LoadError(
                f"{row.key}: {_name(repair)} gave {what} where the model has {wanted}; nothing "
                f"was changed"
            )
        target = self.policy.target(row.key, row.slot, leaf, self.default)
        outcome, _ = judge(row.slot, leaf, target)
        if outcome in COPIED:
            self._special[row.key] = Move(row.key, place, made, target, target != row.slot.dtype)
        return attrs.evolve(row, outcome=outcome, note=note)

    def _is_extra(self, key: str) -> bool:
        path = self.slots.paths[key]
        if path[-1] != "_extra_state":
            return False
        return hasattr(unwrap(follow(self.obj, path[:-1])), "set_extra_state")

    def _slot_rows(self, names: list[str]) -> list[LoadRow]:
        """Judge a slot of several names by the first of them that the file has."""
        key, leaves = names[0], self.given.leaves
        here = [name for name in names if name in leaves]
        left_out = {name: rule for name in here if (rule := self._left_out(name, here))}
        here = [name for name in here if name not in left_out]
        first = self._row(key, here[0] if here else key)
        rows = [first]
        for name in names[1:]:
            row = attrs.evolve(
                first, key=name, source=self.given.key(name) if name in here else None
            )
            if first.outcome in COPIED:
                row = attrs.evolve(row, **self._tie(name, here, key))
            rows.append(row)
        return [self._out(row, left_out) for row in rows]

    def _tie(self, name: str, here: list[str], key: str) -> Mapping[str, Any]:
        if name in here[1:] and not _same(self.given.leaves[name], self.given.leaves[here[0]]):
            return {"outcome": Outcome.CONFLICT, "note": f"differs from {here[0]}"}
        return {"outcome": Outcome.TIED, "note": f"tied to {key}"}

    def _left_out(self, name: str, here: list[str]) -> str:
        """Return the rule by which the file's value for one of several tied names is left out."""
        rule = self.policy.repairs.find(name) if len(here) > 1 else None
        return rule.pattern if rule and rule.wish is skip else ""

    def _out(self, row: LoadRow, left_out: Mapping[str, str]) -> LoadRow:
        if row.key not in left_out:
            return row
        pattern = left_out[row.key]
        return attrs.evolve(
            row, note=f"{row.note}; the file's is left out, on_mismatch[{pattern!r}]"
        )

    def _unused_row(self, name: str) -> LoadRow:
        leaf, source = spec_or_none(self.given.leaves[name]), self.given.key(name)
        row = LoadRow(source or name, Outcome.UNEXPECTED, leaf=leaf, source=source)
        if name in self.given.of_wrappers:
            return attrs.evolve(row, outcome=Outcome.COMPUTED, note="a wrapper's own, left out")
        if self.inside.computes(name):
            return attrs.evolve(row, outcome=Outcome.COMPUTED)
        for key in (name, row.key):
            if rule := self.policy.unexpected.find(key):
                note = f"left out, as allow_unexpected={rule.pattern!r} allows"
                return attrs.evolve(row, outcome=Outcome.SKIPPED, note=note)
        return row


class _Methods(dict[type, Callable[..., Any]]):
    """The method of a generic for each class: found once, where the generic is asked each time."""

    def __init__(self, generic: GenericFunction[..., Any]) -> None:
        super().__init__()
        self.generic = generic

    def __missing__(self, cls: type) -> Callable[..., Any]:
        self[cls] = method = self.generic.dispatch(cls)
        return method


def _takes(place: type, value: type) -> bool:
    return bool(assign.methods(place, value))


def _same(one: Any, other: Any) -> bool:
    return same_place(one, other) or same_values(one, other)


def _name(repair: Any) -> str:
    return getattr(repair, "__name__", None) or str(repair)

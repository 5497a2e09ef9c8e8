"""What becomes of one slot: the leaf it gets from the file, and how, or why it gets none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import attrs

from caten_sd.dispatch.generic import GenericFunction
from caten_sd.errors import LoadError, NoApplicableMethodError
from caten_sd.loading.judge import judge
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.moves import How, Move
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.policy import Policy
from caten_sd.loading.repairs import Fill, skip
from caten_sd.loading.report import COPIED, LoadRow, Outcome
from caten_sd.objects.place import (
    EXTRA_STATE,
    assign,
    follow,
    is_on_meta,
    ready,
    refusal,
    unwrap,
    wrapper_of,
)
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec, spec
from caten_sd.state.packed_weights import is_packed, packed_keys
from caten_sd.state.state_dict import spec_or_none
from caten_sd.wording import a_or_an

_TEMPORARY = (
    "its to_state_dict method makes this value anew each time, so what is written into it is lost: "
    "let the method return the object's own array"
)


@attrs.define(eq=False)
class PlannedRow:
    """A row of a plan, and the move that carries it out if there is anything to move."""

    # Not frozen, for the reason that a Move is not.
    row: LoadRow
    move: Move | None = None


class SlotMatcher:
    """Plans one slot after another; ``adopt`` and ``replace`` hold for all of them.

    ``adopt``: new objects share the memory of the file's leaves. ``replace``: every slot gets a
    new object, and nothing is copied into the old one.
    """

    def __init__(
        self, target: LoadTarget, named: NamedLeaves, policy: Policy, *, adopt: bool, replace: bool
    ) -> None:
        self.target, self.slots, self.named, self.policy = target, target.slots, named, policy
        self.adopt, self.replace = adopt, replace
        self.synthesized = target.synthesized
        self.default_dtype = "keep" if adopt else "to_model"
        self._as_in_model = not adopt and not policy.dtypes.rules
        # A method may be added between two loads, so methods are remembered for one load only.
        self._takes: Callable[..., bool] = functools.cache(_takes)
        self._specs, self._refusals = _Methods(spec), _Methods(refusal)

    def plan(self, key: str, name: str) -> PlannedRow:
        """Plan the slot ``key`` with the leaf that the file has under ``name``."""
        place, named = self.slots.entry[key], self.named
        slot = self._spec(place)
        if name not in named.leaves:
            return self._missing(LoadRow(key, Outcome.MISSING, slot), place)
        value = named.leaves[name]
        leaf = self._spec(value)
        source = named.keys.get(name, name) if named.keys else name
        note = "" if source else "made by the model for a file of an older version"
        row = LoadRow(key, Outcome.LOADED, slot, leaf, source, note)
        if key.endswith(EXTRA_STATE) and self._is_extra_state(key):
            return PlannedRow(row, Move(key, place, value, How.EXTRA_STATE))
        if key in self.synthesized:
            return self._taken_back(row, value)
        if self.synthesized and key in self._sealed:
            note = self._sealed[key]
            return self._repaired(attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=note), None)
        if key in self.target.temporaries:
            row = attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=_TEMPORARY)
            return self._repaired(row, None)
        if leaf is None:
            note = f"a {getattr(value, 'name', type(value).__name__)}, which is not a tensor"
            return self._repaired(attrs.evolve(row, outcome=Outcome.DTYPE, note=note), None)
        if reason := self._refusal(place, value) or _not_loadable(place, value):
            return PlannedRow(attrs.evolve(row, outcome=Outcome.UNASSIGNABLE, note=reason))
        if slot is None:  # a lazy module's parameter takes the file's shape
            note = "it takes the shape of the file"
            return PlannedRow(attrs.evolve(row, note=note), self._move(key, place, value))
        if slot == leaf and self._as_in_model:  # as most are, and there may be many
            return PlannedRow(row, self._move(key, place, value))
        return self._judged(row, slot, leaf, place, value)

    def _move(
        self, key: str, place: Any, value: Any, slot: Spec | None = None, dtype: DType | None = None
    ) -> Move:
        """Return the move into a slot, which gets a new object if only that can have ``dtype``."""
        recast = slot is not None and dtype != slot.dtype
        replace = self.replace and not (self.synthesized and key in self._kept)
        if replace or recast or (self.target.on_meta and is_on_meta(place)):
            return Move(key, place, value, How.REPLACE, dtype, self.adopt)
        return Move(key, place, value)

    def _judged(self, row: LoadRow, slot: Spec, leaf: Spec, place: Any, value: Any) -> PlannedRow:
        """Plan a slot that takes the leaf if shape and dtype allow it."""
        dtype = self.policy.target(row.key, slot, leaf, self.default_dtype)
        outcome, note = judge(slot, leaf, dtype)
        if outcome is Outcome.CAST and (scales := self._scales_of(row.key, value)):
            outcome, note = Outcome.DTYPE, f"packed, and nothing without its scales in {scales}"
        if outcome not in COPIED:
            return self._repaired(attrs.evolve(row, outcome=outcome, note=note), value)
        if outcome is not row.outcome or note:
            row = attrs.evolve(row, outcome=outcome, note=row.note or note)
        return PlannedRow(row, self._move(row.key, place, value, slot, dtype))

    def _scales_of(self, key: str, value: Any) -> str:
        """Return the key of the scales without which a packed weight says nothing, or ""."""
        return self._packed.get(key, "") if is_packed(value) else ""

    @functools.cached_property
    def _packed(self) -> dict[str, str]:
        return packed_keys(self.named.leaves)

    @functools.cached_property
    def _kept(self) -> set[str]:
        """The slots whose own object an owner needs in order to take back what it synthesized."""
        takers = [made for made in self.synthesized.values() if made.slot.takes_back]
        return {key for made in takers for key in made.beside}

    @functools.cached_property
    def _sealed(self) -> dict[str, str]:
        """Say of each packed weight whose scales its owner does not take back that it stays."""
        lost = {k: made.slot for k, made in self.synthesized.items() if not made.slot.takes_back}
        packed = packed_keys(self.slots.entry) if lost else {}
        owners = {
            packed[key]: type(slot.owner).__name__ for key, slot in lost.items() if key in packed
        }
        return {
            key: f"it is packed with {scales}, which {owners[scales]} does not take back: build "
            f"the layer from the file, as its own library does"
            for key, scales in packed.items()
            if scales in owners and key not in self.synthesized
        }

    def _taken_back(self, row: LoadRow, value: Any) -> PlannedRow:
        """Plan a slot whose leaf its owner synthesizes, and takes back with all the others."""
        if row.slot is not None and row.leaf is not None:
            outcome, _ = judge(row.slot, row.leaf)
            if outcome not in COPIED:
                return self._repaired(attrs.evolve(row, outcome=outcome), value)
        place, name, _ = self.synthesized[row.key]
        if not place.takes_back:
            owner = type(place.owner).__name__
            note = f"{owner} computes it for its state dict, and does not take it back"
            return self._repaired(attrs.evolve(row, outcome=Outcome.UNEXPECTED, note=note), None)
        return PlannedRow(row, Move(row.key, place, {name: value}, How.SYNTHESIZED))

    def _missing(self, row: LoadRow, place: Any) -> PlannedRow:
        """Plan a slot that the file has no leaf for."""
        if wrapper := wrapper_of(self.target.obj, self.slots.paths[row.key]):
            note = f"{wrapper}'s own, kept"
            return PlannedRow(attrs.evolve(row, outcome=Outcome.COMPUTED, note=note))
        made_by = self.synthesized.get(row.key)
        if made_by is not None and not made_by.slot.takes_back:
            note = f"{type(made_by.slot.owner).__name__} makes it for its state dict"
            return PlannedRow(attrs.evolve(row, outcome=Outcome.COMPUTED, note=note))
        if allowed := self.policy.missing.find(row.key):
            note = f"missing, as allow_missing={allowed.pattern!r} allows"
            return PlannedRow(attrs.evolve(row, outcome=Outcome.SKIPPED, note=note))
        repaired = self._repaired(row, None)
        if repaired.row is not row or not is_on_meta(place):
            return repaired
        if row.key in self.target.rebuilt:
            note, value = "computed again by the model", self.target.rebuilt[row.key]
            row = attrs.evolve(row, outcome=Outcome.COMPUTED, note=note)
            return PlannedRow(row, self._move(row.key, place, value))
        return PlannedRow(attrs.evolve(row, note="on the meta device, without values"))

    def _repaired(self, row: LoadRow, value: Any) -> PlannedRow:
        """Plan a slot that does not fit as ``on_mismatch`` says, or leave its row as it is."""
        rule = self.policy.repairs.find(row.key)
        without_file = rule is not None and (rule.value is skip or type(rule.value) is Fill)
        if rule is None or (value is None and not without_file):
            return PlannedRow(row)
        note = f"{_name(rule.value)}, as on_mismatch[{rule.pattern!r}] asks"
        if rule.value is skip:
            return PlannedRow(attrs.evolve(row, outcome=Outcome.SKIPPED, note=note))
        return self._made_to_fit(row, value, rule.value, note)

    def _made_to_fit(
        self, row: LoadRow, value: Any, repair: Callable[..., Any], note: str
    ) -> PlannedRow:
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
        dtype = self.policy.target(row.key, row.slot, leaf, self.default_dtype)
        outcome, _ = judge(row.slot, leaf, dtype)
        row = attrs.evolve(row, outcome=outcome, note=note)
        fits = outcome in COPIED
        return PlannedRow(row, self._move(row.key, place, made, row.slot, dtype) if fits else None)

    def _spec(self, leaf: Any) -> Spec | None:
        try:
            known: Spec = self._specs[type(leaf)](leaf)
        except NoApplicableMethodError:
            return None
        return known

    def _refusal(self, place: Any, value: Any) -> str:
        """Return why the place does not take such a value, or ""."""
        reason = self._refusals[type(place)](place)
        if reason and not (self.adopt and _is_read_only_array(place)):
            return str(reason)
        if self._takes(type(place), type(value)):
            return ""
        return f"{a_or_an(type(place).__name__)} that takes no {type(value).__name__}"

    def _is_extra_state(self, key: str) -> bool:
        path = self.slots.paths[key]
        if path[-1] != EXTRA_STATE:
            return False
        return hasattr(unwrap(follow(self.target.obj, path[:-1])), "set_extra_state")


class _Methods(dict[type, Callable[..., Any]]):
    """The method of a generic function for each class, looked up once."""

    def __init__(self, generic: GenericFunction[..., Any]) -> None:
        super().__init__()
        self.generic = generic

    def __missing__(self, cls: type) -> Callable[..., Any]:
        self[cls] = method = self.generic.dispatch(cls)
        return method


def _takes(place: type, value: type) -> bool:
    return bool(assign.methods(place, value))


def _is_read_only_array(place: Any) -> bool:
    """Return whether a numpy array refuses writes; a new object in its slot does not need them."""
    return not getattr(getattr(place, "flags", None), "writeable", True)


def _not_loadable(place: Any, value: Any) -> str:
    """Return why the file's value has nothing that this place takes, or ""."""
    if is_on_meta(value):
        return "the file's is on the meta device and has no data: load a tensor with values"
    if getattr(value, "is_sparse", False) and not getattr(place, "is_sparse", False):
        return "the file's is sparse and its slot is not: convert either of them first"
    return ""


def _name(repair: Any) -> str:
    return getattr(repair, "__name__", None) or str(repair)

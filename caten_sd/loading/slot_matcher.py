"""What becomes of one slot: the leaf it gets from the file, and how, or why it gets none."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import CatenError, LoadError
from caten_sd.loading.judge import judge
from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.methods import Specs
from caten_sd.loading.moves import How, Move
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.nested_state import SparseParts
from caten_sd.loading.policy import Policy
from caten_sd.loading.raw_elements import taken_for
from caten_sd.loading.readable import why_unreadable
from caten_sd.loading.repairs import Fill, skip
from caten_sd.loading.report import COPIED, LoadRow, Outcome
from caten_sd.loading.route import Route, Router
from caten_sd.objects.place import of_its_kind
from caten_sd.state.derived import Derived
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import DENSE, Numpy, Opaque, Spec, as_array, spec_or_none
from caten_sd.state.packed_weights import is_packed, packed_keys
from caten_sd.wording import a_or_an

_TEMPORARY = (
    "its to_state_dict method makes this value anew each time, so what is written into it is lost: "
    "let the method return the object's own array"
)


_ABSENT = object()
_LOADED = Outcome.LOADED  # looking up a member of an Enum is slow


class PlannedRow(NamedTuple):
    """A row of a plan, and the move that carries it out if there is anything to move."""

    row: LoadRow
    move: Move | None = None


class SlotMatcher:
    """Plans one slot after another; ``adopt`` and ``replace`` hold for all of them.

    ``adopt``: new objects share the memory of the file's leaves. ``replace``: every slot gets a
    new object, and nothing is copied into the old one. ``anew``: that is done in a copy of the
    model, so it does not matter whether its owners can be changed.
    """

    def __init__(
        self,
        target: LoadTarget,
        named: NamedLeaves,
        policy: Policy,
        *,
        adopt: bool = False,
        replace: bool = False,
        anew: bool = False,
    ) -> None:
        self.target, self.slots, self.named, self.policy = target, target.slots, named, policy
        self.adopt = adopt
        self.router = Router(target, self._kept, replace=replace, anew=anew)
        self.default_dtype = "keep" if adopt else "to_model"
        self._keys = named.keys
        self._as_in_model = not adopt and not policy.dtypes.rules
        self._specs = Specs()

    def plan(self, key: str, place: Any, name: str) -> PlannedRow:
        """Plan the slot ``key``, which has ``place`` now, with the file's leaf under ``name``."""
        value = self.named.leaves.get(name, _ABSENT)
        slot = self._specs.of(place)
        if value is _ABSENT:
            return self._missing(LoadRow(key, Outcome.MISSING, slot), place)
        leaf = self._specs.of(value)
        source = self._keys.get(name, name) if self._keys else name
        note = "" if source else "made by the model for a file of an older version"
        row = LoadRow(key, _LOADED, slot, leaf, source, note)
        if slot == leaf and self._as_in_model and not self._special and slot is not None:
            # As most slots are, and there may be many.
            if slot.nbytes and self.router.copies(place, value) and type(value) is not Derived:
                return PlannedRow(row, Move(key, place, value))
            return self._routed(row, place, value, None, self.router.route(key, place, value))
        if key in self.target.nested:
            return PlannedRow(row, Move(key, self.target.nested[key], value, How.NESTED))
        if key in self.target.synthesized:
            return self._taken_back(row, value)
        if self.target.synthesized and key in self._sealed:
            note = self._sealed[key]
            return self._repaired(row._replace(outcome=Outcome.UNASSIGNABLE, note=note), None)
        if key in self.target.temporaries:
            row = row._replace(outcome=Outcome.UNASSIGNABLE, note=_TEMPORARY)
            return self._repaired(row, None)
        if leaf is None:
            note = _why_not_a_tensor(value)
            return self._repaired(row._replace(outcome=Outcome.UNREAD, note=note), None)
        if slot is None:  # a lazy module's parameter takes the file's shape
            row = row._replace(note="it takes the shape of the file")
            return self._routed(row, place, value, None, self.router.route(key, place, value))
        return self._judged(row, slot, leaf, place, value)

    @functools.cached_property
    def _special(self) -> bool:
        """Whether some slots are not filled with a leaf of their own."""
        target = self.target
        return bool(target.nested or target.synthesized or target.temporaries)

    def _judged(self, row: LoadRow, slot: Spec, leaf: Spec, place: Any, value: Any) -> PlannedRow:
        """Plan a slot that takes the leaf if shape and dtype allow it."""
        if (made := taken_for(slot, leaf, value)) is not None:
            note = f"raw elements of the file, taken for {slot.dtype}"
            row, leaf, value = row._replace(leaf=slot, note=note), slot, made
        dtype = self.policy.target(row.key, slot, leaf, self.default_dtype)
        route = self.router.route(row.key, place, value, recast=dtype != slot.dtype)
        if not route.replaces:
            dtype = slot.dtype
        outcome, note = judge(slot, leaf, dtype)
        if outcome is Outcome.CAST and (scales := self._scales_of(row.key, value)):
            outcome, note = Outcome.DTYPE, f"packed, and nothing without its scales in {scales}"
        if outcome not in COPIED:
            return self._repaired(row._replace(outcome=outcome, note=note), value)
        if outcome is not row.outcome or note:
            row = row._replace(outcome=outcome, note=row.note or note)
        return self._routed(row, place, value, dtype, route)

    def _routed(
        self, row: LoadRow, place: Any, value: Any, dtype: DType | None, route: Route
    ) -> PlannedRow:
        """Plan the way of a leaf into a slot that it fits; ``dtype`` is for a new object."""
        if reason := _why_not_copied(row.slot, row.leaf, value) or route.refusal:
            return PlannedRow(row._replace(outcome=Outcome.UNASSIGNABLE, note=reason))
        if route.note:
            row = row._replace(note="; ".join(filter(None, [row.note, route.note])))
        if route.replaces:
            return PlannedRow(row, Move(row.key, place, value, How.REPLACE, dtype, self.adopt))
        return PlannedRow(row, Move(row.key, place, value, rehearse=route.rehearse))

    def _scales_of(self, key: str, value: Any) -> str:
        """Return the key of the scales without which a packed weight says nothing, or ""."""
        return self._packed.get(key, "") if is_packed(value) else ""

    @functools.cached_property
    def _packed(self) -> dict[str, str]:
        return packed_keys(self.named.leaves)

    @functools.cached_property
    def _kept(self) -> set[str]:
        """The slots whose own object an owner needs in order to take back what it synthesized."""
        takers = [made for made in self.target.synthesized.values() if made.slot.takes_back]
        return {key for made in takers for key in made.beside}

    @functools.cached_property
    def _sealed(self) -> dict[str, str]:
        """Say of each packed weight whose scales its owner does not take back that it stays."""
        made = self.target.synthesized
        lost = {key: leaf.slot for key, leaf in made.items() if not leaf.slot.takes_back}
        packed = packed_keys(self.slots.entry) if lost else {}
        owners = {
            packed[key]: type(slot.owner).__name__ for key, slot in lost.items() if key in packed
        }
        return {
            key: f"it is packed with {scales}, which {owners[scales]} does not take back: build "
            f"the layer from the file, as its own library does"
            for key, scales in packed.items()
            if scales in owners and key not in made
        }

    def _taken_back(self, row: LoadRow, value: Any) -> PlannedRow:
        """Plan a slot whose leaf its owner synthesizes, and takes back with all the others."""
        if row.slot is not None and row.leaf is not None:
            outcome, _ = judge(row.slot, row.leaf)
            if outcome not in COPIED:
                return self._repaired(row._replace(outcome=outcome), value)
        place, name, _ = self.target.synthesized[row.key]
        if not place.takes_back:
            owner = type(place.owner).__name__
            note = f"{owner} computes it for its state dict, and does not take it back"
            return self._repaired(row._replace(outcome=Outcome.UNEXPECTED, note=note), None)
        move = Move(row.key, place, {name: value}, How.SYNTHESIZED, rehearse=True)
        return PlannedRow(row, move)

    def _missing(self, row: LoadRow, place: Any) -> PlannedRow:
        """Plan a slot that the file has no leaf for."""
        if wrapper := self.target.kept_by_wrappers.get(row.key):
            note = f"{wrapper}'s own, kept"
            return PlannedRow(row._replace(outcome=Outcome.COMPUTED, note=note))
        made_by = self.target.synthesized.get(row.key)
        if made_by is not None and not made_by.slot.takes_back:
            note = f"{type(made_by.slot.owner).__name__} makes it for its state dict"
            return PlannedRow(row._replace(outcome=Outcome.COMPUTED, note=note))
        if allowed := self.policy.missing.find(row.key):
            note = f"missing, as allow_missing={allowed.pattern!r} allows"
            return PlannedRow(row._replace(outcome=Outcome.SKIPPED, note=note))
        repaired = self._repaired(row, None)
        if repaired.row is not row or row.slot is None:
            return repaired
        if row.slot.has_values:
            if row.key in self.target.unsaved:
                return PlannedRow(row._replace(outcome=Outcome.KEPT))
            if row.key in self.target.may_lack:
                note = "a file may lack it, as the class of the model says"
                return PlannedRow(row._replace(outcome=Outcome.KEPT, note=note))
            return repaired
        if row.key in self.target.rebuilt:
            note, value = "computed again by the model", self.target.rebuilt[row.key]
            row = row._replace(outcome=Outcome.COMPUTED, note=note)
            route = self.router.route(row.key, place, value)
            return self._routed(row, place, value, None, route)
        return PlannedRow(row._replace(note="a shape without values, as on the meta device"))

    def _repaired(self, row: LoadRow, value: Any) -> PlannedRow:
        """Plan a slot that does not fit as ``on_mismatch`` says, or leave its row as it is."""
        rule = self.policy.repairs.find(row.key)
        without_file = rule is not None and (rule.value is skip or type(rule.value) is Fill)
        if rule is None or (value is None and not without_file):
            return PlannedRow(row)
        note = f"{_name(rule.value)}, as on_mismatch[{rule.pattern!r}] asks"
        if rule.value is skip:
            return PlannedRow(row._replace(outcome=Outcome.SKIPPED, note=note))
        return self._made_to_fit(row, value, rule.value, note)

    def _made_to_fit(
        self, row: LoadRow, value: Any, repair: Callable[..., Any], note: str
    ) -> PlannedRow:
        place = self.slots[row.key]
        try:
            made = repair(None if value is None else of_its_kind(place, value), place)
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
        route = self.router.route(row.key, place, made, recast=dtype != row.slot.dtype)
        if not route.replaces:
            dtype = row.slot.dtype
        outcome, _ = judge(row.slot, leaf, dtype)
        row = row._replace(outcome=outcome, note=note)
        if outcome not in COPIED:
            return PlannedRow(row)
        return self._routed(row, place, made, dtype, route)


def _why_not_copied(slot: Spec | None, leaf: Spec | None, value: Any) -> str:
    """Return why no write can give the leaf's values to an array like the slot's, or ""."""
    if leaf is not None and not leaf.has_values:
        return _why_no_values(value)
    there = DENSE if slot is None else slot.form
    if leaf is not None and leaf.form != there:
        return f"it is {leaf.form} and its slot is {there}: convert either of them first"
    return why_unreadable(value)


def _why_no_values(value: Any) -> str:
    """Return why a leaf has a shape and no values, which its own world knows."""
    try:
        as_array(Numpy(), value)
    except CatenError as error:
        return f"it has no values to load: {error}"
    return "it has no values to load: give a leaf with values"


def _why_not_a_tensor(value: Any) -> str:
    """Return what the file has in the place of a tensor, and what would be one."""
    if isinstance(value, SparseParts):
        return f"the file has the parts of {a_or_an(value.name)}: save it dense, as to_dense() does"
    if isinstance(value, Opaque):
        return f"the file has {a_or_an(value.name)}, which is not read, as no code from a file runs"
    name = type(value).__name__
    if isinstance(value, Mapping):
        return f"{a_or_an(name)} of its own, not a tensor: join the keys of nested dicts with dots"
    if isinstance(value, numbers.Number):
        return f"a plain number ({name}), not an array: numpy.asarray() makes it one"
    module = type(value).__module__
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{a_or_an(f'{module}.{name}')}, which spec and as_array have no method for"
    return f"{a_or_an(name)}, which is not a tensor"


def _name(repair: Any) -> str:
    return getattr(repair, "__name__", None) or str(repair)

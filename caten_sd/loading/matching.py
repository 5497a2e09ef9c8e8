"""Which leaf of the file goes to which slot: every slot and every key in one list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from caten_sd.loading.load_target import LoadTarget
from caten_sd.loading.moves import How
from caten_sd.loading.named_leaves import NamedLeaves
from caten_sd.loading.packed_together import kept_together
from caten_sd.loading.policy import Policy
from caten_sd.loading.repairs import skip
from caten_sd.loading.report import COPIED, LoadRow, Outcome
from caten_sd.loading.slot_matcher import PlannedRow, SlotMatcher
from caten_sd.state.compare import same_values
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.same_place import same_place


def matched(matcher: SlotMatcher) -> list[PlannedRow]:
    """Return a row for each slot, in the model's order, and for each key that no slot gets."""
    target, named, policy = matcher.target, matcher.named, matcher.policy
    rows = kept_together(_slot_rows(matcher), target.slots.entry)
    if matcher.adopt:
        rows = list(_adopted_once(rows))
    unused = [name for name in named.leaves if name not in target.slots.entry]
    return rows + [PlannedRow(_unused(name, target, named, policy)) for name in unused]


def _slot_rows(matcher: SlotMatcher) -> list[PlannedRow]:
    slots, aliases = matcher.slots.entry, matcher.target.aliases
    if not aliases:
        return [matcher.plan(key, place, key) for key, place in slots.items()]
    found: dict[str, PlannedRow] = {}
    for key, place in slots.items():
        if key in aliases:
            found |= _tied_rows(matcher, [key, *aliases[key]])
        elif key not in found:
            found[key] = matcher.plan(key, place, key)
    return [found[key] for key in slots]


def _tied_rows(matcher: SlotMatcher, names: list[str]) -> dict[str, PlannedRow]:
    """Plan a slot of several names with the first of them that the file has."""
    leaves, repairs = matcher.named.leaves, matcher.policy.repairs
    here = [name for name in names if name in leaves]
    rules = {name: repairs.find(name) for name in here} if len(here) > 1 else {}
    left_out = {name: rule.pattern for name, rule in rules.items() if rule and rule.value is skip}
    if len(left_out) == len(here):  # which of the values is meant is then not said
        left_out = {}
    here = [name for name in here if name not in left_out]
    place = matcher.slots.entry[names[0]]
    first = matcher.plan(names[0], place, here[0] if here else names[0])
    rows, found = {names[0]: first}, dict.fromkeys(here)
    for name in names[1:]:
        source = matcher.named.key(name) if name in found else None
        row = first.row._replace(key=name, source=source)
        if row.outcome in COPIED:
            row = row._replace(**_tie(leaves, name, found, names[0]))
        rows[name] = PlannedRow(row)
    for name, pattern in left_out.items():
        row = rows[name].row
        note = f"{row.note}; the file's is left out, on_mismatch[{pattern!r}]"
        rows[name] = PlannedRow(row._replace(note=note), rows[name].move)
    return rows


def _tie(
    leaves: Mapping[str, Any], name: str, here: Mapping[str, None], first: str
) -> dict[str, Any]:
    """Return how a further name of a slot is told; ``here`` are the names that the file has."""
    used = next(iter(here), name)
    if name in here and name != used and not _same(leaves[name], leaves[used]):
        return {"outcome": Outcome.CONFLICT, "note": f"differs from {used}"}
    return {"outcome": Outcome.TIED, "note": f"tied to {first}"}


def _same(one: Any, other: Any) -> bool:
    """Return whether a leaf of the file, which may not be a tensor, has the values of a tensor."""
    return same_place(one, other) or (spec_or_none(one) is not None and same_values(one, other))


def _adopted_once(rows: Iterable[PlannedRow]) -> Iterator[PlannedRow]:
    """Yield the rows, each leaf adopted by one slot only: slots that are not tied stay apart."""
    owners: dict[int, str] = {}
    for planned in rows:
        row, move = planned.row, planned.move
        if move is not None and move.how is How.REPLACE:
            first = owners.setdefault(id(move.leaf), move.key)
            if first != move.key:
                note = "; ".join(filter(None, [row.note, f"a copy, as {first} has the file's own"]))
                row, move = row._replace(note=note), move._replace(adopt=False)
        yield PlannedRow(row, move)


def _unused(name: str, target: LoadTarget, named: NamedLeaves, policy: Policy) -> LoadRow:
    """Return the row of a key that no slot gets."""
    leaf, source = spec_or_none(named.leaves[name]), named.key(name)
    row = LoadRow(source or name, Outcome.UNEXPECTED, leaf=leaf, source=source)
    if name in named.of_wrappers:
        return row._replace(outcome=Outcome.COMPUTED, note="a wrapper's own, left out")
    if target.computes(name):
        return row._replace(outcome=Outcome.COMPUTED)
    for key in (name, row.key):
        if rule := policy.unexpected.find(key):
            note = f"left out, as allow_unexpected={rule.pattern!r} allows"
            return row._replace(outcome=Outcome.SKIPPED, note=note)
    if target.leaves_out(name, row.key):
        return row._replace(outcome=Outcome.LEFT_OUT)
    return row

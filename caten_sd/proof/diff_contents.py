"""Tensors that do not meet by name, paired by their contents: moved, turned, joined, or near."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.mapping.operations import Identity, Operation
from caten_sd.proof.diff_rows import DiffRow
from caten_sd.proof.fingerprints import level_of
from caten_sd.proof.likeness import Judged, Likeness, judged
from caten_sd.proof.name_evidence import pair_by_names
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.near_values import pair_near
from caten_sd.proof.operation_search import between
from caten_sd.proof.pairing import paired
from caten_sd.proof.weights import SameValues, Weights
from caten_sd.state.state_dict import StateDict

_SAME_ORDER, _OTHER_ORDER = 1e-8, 1e-5  # how far sums of the same squares may be apart


class Meeting(NamedTuple):
    """Tensors of A and of B that belong together, the operation between them, and how alike.

    ``operation`` is None where the algebra has none for the order. ``level`` is the dtype in which
    the values are equal, or "" where they are only near.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    key: str
    operation: Operation | None
    judged: Judged
    level: str = ""


def by_contents(a: Mapping[str, Any], b: Mapping[str, Any], names: NamedSizes) -> list[Meeting]:
    """Return which of these tensors belong together: of the same values, or of near ones."""
    here, there = Weights(StateDict(a)), Weights(StateDict(b))
    if not here.specs or not there.specs:
        return []
    for each in (here, there):
        each.read(here.levels | there.levels)
    found = paired(here, there)
    pair_by_names(found)
    near = pair_near(found, here, there, names)
    pair_by_names(found)  # those that are near show whose names equal tensors have
    close = {id(each.match) for each in near}
    exact = [_exact(match, here, there, names) for match in found.matches if id(match) not in close]
    met = [_met(each.match, each.operation, here, there, names) for each in near]
    return [*exact, *(each._replace(level="") for each in met)]


def _exact(match: SameValues, a: Weights, b: Weights, names: NamedSizes) -> Meeting:
    known = between(match, a, b, names)
    return _met(known.match if known else match, known and known.operation, a, b, names)


def _met(
    match: SameValues, operation: Operation | None, a: Weights, b: Weights, names: NamedSizes
) -> Meeting:
    ones, others = match.keys
    sides = [", ".join(bearer.name for bearer in side) for side in (match.a, match.b)]
    key = sides[0] if sides[0] == sides[1] else " -> ".join(sides)
    if operation is None or len(ones) > 1 or len(others) > 1:
        dtypes = {a.specs[one].dtype for one in ones} | {b.specs[one].dtype for one in others}
        exact = all(level_of(dtype) == match.level for dtype in dtypes)
        likeness = Likeness.BYTES if exact else Likeness.ROUNDED
        return Meeting(ones, others, key, operation, Judged(likeness), match.level)
    made = names.bound(operation).apply({(): a.leaves[ones[0]]})[()]
    alike = judged(made, b.leaves[others[0]])
    return Meeting(ones, others, key, operation, alike, match.level)


def row_of_meeting(met: Meeting) -> DiffRow:
    """Return the row: turned where an operation shows it, moved, or changed under two names."""
    found, operation = met.judged, met.operation
    if operation is None:
        said = "in an order that no operation gives"
    else:
        said = "" if isinstance(operation, Identity) else repr(operation)
    likeness = Likeness.TURNED if said else Likeness.MOVED
    is_rounded = found.likeness is Likeness.ROUNDED
    within = f"equal once rounded to {met.level}" if met.level else Likeness.ROUNDED.value
    parts = [said, within if is_rounded else ""]
    if found.likeness is Likeness.CHANGED:
        likeness = Likeness.CHANGED
    change = None if is_rounded and met.level else found.change
    return DiffRow(met.key, likeness, met.a, met.b, "; ".join(filter(None, parts)), change)


def with_equal_squares(own: Mapping[str, float], others: Mapping[str, float]) -> set[str]:
    """Return the keys whose sum of squares is also one of the others: the values may be moved.

    >>> with_equal_squares({"a": 2.0, "b": 3.0}, {"c": 2.0})
    {'a'}
    """
    return _near(own, others, _SAME_ORDER)


def with_near_squares(own: Mapping[str, float], others: Mapping[str, float]) -> set[str]:
    """Return the same for values in any order, whose sum may be rounded in other places."""
    return _near(own, others, _OTHER_ORDER)


def _near(own: Mapping[str, float], others: Mapping[str, float], room: float) -> set[str]:
    ordered = sorted(others.values())
    found = set()
    for key, squares in own.items():
        at = bisect_left(ordered, squares * (1 - room))
        if at < len(ordered) and ordered[at] <= squares * (1 + room):
            found.add(key)
    return found

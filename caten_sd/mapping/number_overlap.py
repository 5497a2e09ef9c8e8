"""Whether two patterns can have the same numbers, tried on values near which conditions change."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.index_terms import IndexTerms
from caten_sd.mapping.pattern_pieces import Segment, taken_apart
from caten_sd.mapping.patterns import Pattern

_TRIED = 40  # values of an index
_NEAR = 5  # values around each number in a pattern
_TRIED_NUMBERS = (1, 2, 5)  # values of a named number
_MOST_TRIED = 1 << 12  # combinations of values of the indices of a pattern
_MOST_TRIALS = 20_000_000  # of conditions on values, for all pairs of patterns of a file
_TRIALS_OF_ARITHMETIC = 8  # as many conditions take as long as the arithmetic on one combination

_trials: ContextVar[list[int] | None] = ContextVar("trials", default=None)

Number = str | IndexTerms  # what a pattern has where a key has a number


@contextmanager
def trials_of_one_file() -> Iterator[None]:
    """Count the trials for all layouts that are built within as those of one file."""
    token = _trials.set([0])
    try:
        yield
    finally:
        _trials.reset(token)


def check_soon(pairs: Iterable[tuple[int, int]], patterns: Sequence[Pattern]) -> None:
    """Refuse more conditions and arithmetic than can be tried on values of the indices."""
    if all(known.is_plain and not known.where for known in patterns):
        return
    efforts = [_Effort.of(known) for known in patterns]
    spent = _trials.get() or [0]
    for a, b in pairs:
        one, other = efforts[a], efforts[b]
        values = _TRIED + one.near + other.near
        spent[0] += values * (one.conditions + other.conditions) + one.arithmetic + other.arithmetic
        if spent[0] > _MOST_TRIALS:
            raise LayoutError(
                f"rows whose names are alike, {patterns[a].text} among them, have too many "
                f"conditions and too much arithmetic to be compared with each other; write less "
                f"in where= and in the names, or give them other names"
            )


class _Effort(NamedTuple):
    """What it takes to compare a pattern with another: values, conditions, arithmetic."""

    near: int
    conditions: int
    arithmetic: int

    @classmethod
    def of(cls, known: Pattern) -> _Effort:
        near = _NEAR * len(list(_bounds(known)))
        indices = {name for piece in known.pieces if piece.terms for name in piece.captures}
        combined = _MOST_TRIED if len(indices) > 1 else _TRIED + near
        arithmetic = 0 if known.is_plain else combined * _TRIALS_OF_ARITHMETIC
        return cls(near, len(known.where), arithmetic)


def numbers_overlap(one: Pattern, other: Pattern) -> bool:
    """Return whether indices can be found with which both patterns have the same numbers."""
    pairs = [
        (a, b)
        for first, second in zip(one.segments, other.segments, strict=True)
        if _is_numeric(first) and _is_numeric(second)
        for a, b in zip(_numbers(first), _numbers(second), strict=True)
        if not _is_free(a, one) and not _is_free(b, other)
    ]
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    values = _values(one, other)
    return any(
        not _given(one, mine, values, number).isdisjoint(_given(other, theirs, values, number))
        for number in (_TRIED_NUMBERS if _has_named(one) or _has_named(other) else (1,))
    )


def _has_named(known: Pattern) -> bool:
    """Return whether a named number is in the conditions or the arithmetic of a pattern."""
    terms = (piece.terms for piece in known.pieces if piece.terms)
    return any(not each.bound.isdecimal() for each in known.where) or any(
        each.numbers for each in terms
    )


def _is_numeric(segment: Segment) -> bool:
    return all(piece.kind in ("literal", "index") for piece in segment)


def _numbers(segment: Segment) -> list[Number]:
    """Return the literal numbers and the terms of a segment, in order."""
    found: list[Number] = []
    for piece in segment:
        found += taken_apart(piece.text)[1] if piece.terms is None else [piece.terms]
    return found


def _is_free(number: Number, known: Pattern) -> bool:
    """Return whether a pattern takes any number here, whatever its other numbers are."""
    if isinstance(number, str) or not number.is_plain:
        return False
    return all(each.name != number.text for each in known.where)


def _given(
    known: Pattern, numbers: Sequence[Number], values: Sequence[int], named: int
) -> set[tuple[int, ...]]:
    """Return the numbers that a pattern has for some values of its indices."""

    def lookup(_: str) -> int:
        return named

    names = {name for each in numbers if isinstance(each, IndexTerms) for name, _ in each.factors}
    meeting = {
        name: [value for value in values if _meets(known, name, value, lookup)]
        for name in sorted(names | {each.name for each in known.where})
    }
    if not all(meeting.values()):
        return set()
    # The more indices there are, the fewer values each can have in a time that ends.
    most = int(_MOST_TRIED ** (1 / len(names))) if len(names) > 1 else None
    found = set()
    for chosen in itertools.product(*(meeting[name][:most] for name in sorted(names))):
        indices = dict(zip(sorted(names), chosen, strict=True))
        given = [_number(each, indices, lookup) for each in numbers]
        if None not in given:
            found.add(tuple(each for each in given if each is not None))
    return found


def _meets(known: Pattern, name: str, value: int, lookup: Lookup) -> bool:
    """Return whether a pattern's conditions on one index hold for a value."""
    return all(each.holds({name: value}, lookup) for each in known.where if each.name == name)


def _number(number: Number, indices: Mapping[str, int], lookup: Lookup) -> int | None:
    if isinstance(number, str):
        return int(number)
    try:
        return number.value(indices, lookup)
    except LayoutError:  # the arithmetic has no place for these indices
        return None


def _values(one: Pattern, other: Pattern) -> list[int]:
    """Return values of an index near which conditions and arithmetic change."""
    bounds = {*_bounds(one), *_bounds(other)}
    near = {bound + by for bound in bounds for by in range(-(_NEAR // 2), _NEAR // 2 + 1)}
    return [*range(_TRIED), *sorted(value for value in near if value >= _TRIED)]


def _bounds(known: Pattern) -> Iterator[int]:
    """Yield the numbers in a pattern's text and in what its conditions compare with."""
    for text in (known.text, *(each.bound for each in known.where)):
        yield from map(int, taken_apart(text)[1])

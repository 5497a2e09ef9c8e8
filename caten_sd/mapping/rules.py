"""Compile a layout's rows into rules for one direction, after a proof that each can be undone.

A row can be undone if three things hold: its captures are in the names of the other side or are
stacked there, its operation has an inverse, and no other row takes or gives the same name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.operations import POSITION, Operation
from caten_sd.mapping.patterns import Matcher, Pattern, is_index, pattern
from caten_sd.mapping.rows import Drop, Row


class Rule(NamedTuple):
    """A row in one direction: the names it takes, the names it gives, and the operation between."""

    row: Row
    inputs: tuple[Pattern, ...]
    outputs: tuple[Pattern, ...]
    operation: Operation
    stacked: frozenset[str]  # captures of the inputs that the outputs do not have

    @property
    def grouped(self) -> bool:
        """Whether it takes several keys together."""
        return bool(self.stacked) or len(self.inputs) > 1

    @property
    def simple(self) -> bool:
        """Whether it only gives one tensor another name."""
        return self.row.renames_only and len(self.inputs) == 1


class Taker(NamedTuple):
    """What takes a key: a drop, or a rule as the name at a position of its inputs."""

    rule: Rule | Drop
    position: int


class Side(NamedTuple):
    """All rules of a layout in one direction."""

    rules: tuple[Rule, ...]
    matcher: Matcher[Taker]
    patterns: tuple[tuple[Pattern, Taker], ...]


def compile_reading(rows: Iterable[Row | Drop], prefixes: Sequence[str]) -> Side:
    """Return the rules from the layout's names to the canonical ones."""
    rules: list[Rule] = []
    takers: list[tuple[Pattern, Taker]] = []
    for row in rows:
        if isinstance(row, Row):
            here = prefixed(row, prefixes[0])
            rules.append(_rule(row, here, canonical(row), row.operation.inverse()))
        taken = rules[-1] if isinstance(row, Row) else row
        for prefix in prefixes if row.prefixed else ("",):
            names = enumerate(prefixed(row, prefix))
            takers += [(name, Taker(taken, position)) for position, name in names]
    return _side(rules, takers)


def compile_writing(rows: Iterable[Row | Drop], prefix: str) -> Side:
    """Return the rules from the canonical names to the layout's."""
    rules = [
        _rule(row, canonical(row), prefixed(row, prefix), row.operation)
        for row in rows
        if isinstance(row, Row)
    ]
    takers = [(name, Taker(rule, n)) for rule in rules for n, name in enumerate(rule.inputs)]
    return _side(rules, takers)


def canonical(row: Row) -> tuple[Pattern, ...]:
    """Return the canonical names of a row as patterns."""
    return tuple(map(pattern, row.canonical_names))


def prefixed(row: Row | Drop, prefix: str) -> tuple[Pattern, ...]:
    """Return a row's names in its layout as patterns, after the prefix if the row takes it."""
    return tuple(pattern((prefix if row.prefixed else "") + name) for name in row.names)


def _rule(
    row: Row, inputs: tuple[Pattern, ...], outputs: tuple[Pattern, ...], operation: Operation
) -> Rule:
    return Rule(row, inputs, outputs, operation, inputs[0].captures - outputs[0].captures)


def _side(rules: list[Rule], takers: list[tuple[Pattern, Taker]]) -> Side:
    return Side(tuple(rules), Matcher(takers), tuple(takers))


def check_row(row: Row) -> None:
    """Refuse a row that cannot be undone."""
    sides = canonical(row), prefixed(row, "")
    for names in sides:
        if len({name.captures for name in names}) > 1:
            raise LayoutError(f"row {row}: all names of one side must have the same captures")
    if row.operation.inverse().inverse() != row.operation:
        raise LayoutError(f"row {row}: the inverse of {row.operation} has another inverse")
    if row.shape is not None and len(sides[0]) > 1:
        raise LayoutError(f"row {row}: only a row of one canonical name can have a shape=")
    if row.tied and (len(sides[0]) > 1 or sides[0][0].captures or sides[1][0].captures):
        raise LayoutError(f"row {row}: a tied row has one name without captures on each side")
    given, wanted = _labels(*sides), _labels(*reversed(sides))
    try:
        left = row.operation.labels(given)
    except LayoutError as error:
        raise LayoutError(f"row {row}: {error}") from None
    if dict(left) != wanted:
        raise LayoutError(
            f"row {row}: {type(row.operation).__name__} gives {_labels_text(left)} and the names "
            f"on the other side need {_labels_text(wanted)}; split, join or stack to get them"
        )


def _labels(one: tuple[Pattern, ...], other: tuple[Pattern, ...]) -> dict[str, int | None]:
    """Return the labels that distinguish tensors on one side of a row and not on the other."""
    labels: dict[str, int | None] = dict.fromkeys(sorted(one[0].captures - other[0].captures))
    if words := [label for label in labels if not is_index(label)]:
        raise LayoutError(
            f"the name {{{words[0]}}} is captured in {one[0].text!r} only; capture it in both "
            f"names, or stack over an index, which has one letter"
        )
    return {POSITION: len(one), **labels} if len(one) > 1 else labels


def _labels_text(labels: Mapping[str, int | None]) -> str:
    texts = [
        f"{count} tensors" if label == POSITION else f"one for each {{{label}}}"
        for label, count in labels.items()
    ]
    return " and ".join(texts) or "a single tensor"


def check_side(side: Side) -> None:
    """Refuse two rows that would take one key, unless the shape of a drop decides."""
    for (one, first), (other, second) in itertools.combinations(side.patterns, 2):
        if one.overlaps(other) and not _decided(first, second):
            rows = " and ".join(f"({_row(taker)})" for taker in (first, second))
            key = one.text if one.text == other.text else f"{one.text} and {other.text}"
            raise LayoutError(f"two rows take one key, {key}: {rows}; make their names differ")


def _decided(first: Taker, second: Taker) -> bool:
    if first == second:
        return True
    return any(isinstance(t.rule, Drop) and t.rule.shape is not None for t in (first, second))


def _row(taker: Taker) -> Row | Drop:
    return taker.rule if isinstance(taker.rule, Drop) else taker.rule.row


def check_coverage(rows: Iterable[Row | Drop], names: Side) -> None:
    """Refuse rows with a canonical name that does not exist, or without one that is required."""
    mine = [(row, name) for row in rows if isinstance(row, Row) for name in canonical(row)]
    for row, name in mine:
        if not any(name.overlaps(known) for known, _ in names.patterns):
            raise LayoutError(f"row {row}: {name.text} is not a canonical name of its base")
    for known, taker in names.patterns:
        needed = isinstance(taker.rule, Rule) and not taker.rule.row.optional
        if needed and not any(name.overlaps(known) for _, name in mine):
            raise LayoutError(f"no row has the canonical name {known.text}; add one")


def missing_inputs(rule: Rule, captured: Mapping[str, str], seen: set[tuple[int, ...]]) -> str:
    """Return the first missing key of those a rule takes together, or "" if none is missing.

    A rule takes all of its input names, at all indices up to the largest. ``seen`` holds tuples of
    a position and the index of each stacked capture, in sorted order.
    """
    stacked = sorted(rule.stacked)
    ranges = [range(len(rule.inputs))]
    ranges += [range(max(at[n] for at in seen) + 1) for n in range(1, len(stacked) + 1)]
    for at in _product(ranges):
        if at not in seen:
            indices = dict(zip(stacked, at[1:], strict=True))
            return rule.inputs[at[0]].key({**captured, **indices})
    return ""


def _product(ranges: Sequence[range]) -> Iterator[tuple[int, ...]]:
    # itertools.product would first list each range, and an index in a file may be any number.
    if not ranges:
        yield ()
        return
    for first in ranges[0]:
        for rest in _product(ranges[1:]):
            yield (first, *rest)

"""Compile a layout's rows into rules for one direction, after a proof that each can be undone.

A row can be undone if three things hold: its captures are in the names of the other side or are
stacked there, its operation has an inverse, and no other row takes or gives the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LayoutError
from caten_sd.mapping.operations import POSITION, Operation
from caten_sd.mapping.overlap import candidates, overlap
from caten_sd.mapping.patterns import Pattern, is_index, pattern
from caten_sd.mapping.rows import Drop, Lacks, Row
from caten_sd.mapping.templates import Matcher


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

    def __str__(self) -> str:
        return str(self.row)


class Taker(NamedTuple):
    """What takes a key: a drop, a name that is lacking, or a rule as the name at a position."""

    rule: Rule | Drop | Lacks
    position: int


@attrs.frozen(eq=False, slots=False)
class Side:
    """All rules of a layout in one direction."""

    rules: tuple[Rule, ...]
    patterns: tuple[tuple[Pattern, Taker], ...]
    separator: str

    @cached_property
    def matcher(self) -> Matcher[Taker]:
        """The patterns as they are searched; most layouts are only built, and search no key."""
        return Matcher(self.patterns, self.separator)


Declared = Row | Drop | Lacks


def compile_reading(
    rows: Iterable[Declared], prefixes: Sequence[str], separator: str = "."
) -> Side:
    """Return the rules from the layout's names to the canonical ones."""
    rules: list[Rule] = []
    takers: list[tuple[Pattern, Taker]] = []
    for row in rows:
        if isinstance(row, Lacks):
            continue
        if isinstance(row, Row):
            here = prefixed(row, prefixes[0], separator)
            rules.append(_rule(row, here, canonical(row), row.operation.inverse()))
        taken = rules[-1] if isinstance(row, Row) else row
        for prefix in prefixes if row.prefixed else ("",):
            for names in (prefixed(row, prefix, separator), *also(row, prefix, separator)):
                takers += [(name, Taker(taken, position)) for position, name in enumerate(names)]
    return _side(rules, takers, separator)


def compile_writing(rows: Iterable[Declared], prefix: str, separator: str = ".") -> Side:
    """Return the rules from the canonical names to the layout's."""
    rows = list(rows)
    rules = [
        _rule(row, canonical(row), prefixed(row, prefix, separator), row.operation)
        for row in rows
        if isinstance(row, Row)
    ]
    takers = [(name, Taker(rule, n)) for rule in rules for n, name in enumerate(rule.inputs)]
    takers += [(lacking(row), Taker(row, 0)) for row in rows if isinstance(row, Lacks)]
    return _side(rules, takers, ".")


def canonical(row: Row) -> tuple[Pattern, ...]:
    """Return the canonical names of a row as patterns."""
    return tuple(pattern(name, ".", row.where) for name in row.with_choices(row.canonical_names))


def lacking(row: Lacks) -> Pattern:
    """Return the canonical name that a layout lacks as a pattern."""
    return pattern(row.canonical, ".", row.where)


def also(row: Row | Drop, prefix: str, separator: str = ".") -> list[tuple[Pattern, ...]]:
    """Return the alternatives to a row's names in its layout as patterns."""
    if isinstance(row, Drop):
        return []
    start = prefix if row.prefixed else ""
    return [
        tuple(pattern(start + name, separator, row.where) for name in row.with_choices(names))
        for names in row.also_names
    ]


def prefixed(row: Row | Drop, prefix: str, separator: str = ".") -> tuple[Pattern, ...]:
    """Return a row's names in its layout as patterns, after the prefix if the row takes it."""
    start = prefix if row.prefixed else ""
    names = row.with_choices(row.names) if isinstance(row, Row) else row.names
    where = row.where if isinstance(row, Row) else ""
    return tuple(pattern(start + name, separator, where) for name in names)


def _rule(
    row: Row, inputs: tuple[Pattern, ...], outputs: tuple[Pattern, ...], operation: Operation
) -> Rule:
    return Rule(row, inputs, outputs, operation, inputs[0].captures - outputs[0].captures)


def _side(rules: list[Rule], takers: list[tuple[Pattern, Taker]], separator: str) -> Side:
    return Side(tuple(rules), tuple(takers), separator)


def check_row(row: Row, separator: str = ".") -> None:
    """Refuse a row that cannot be undone."""
    sides = canonical(row), prefixed(row, "", separator)
    others = also(row, "", separator)
    _check_kinds(row, [name for names in (*sides, *others) for name in names])
    if any(len(names) != len(sides[1]) for names in others):
        raise LayoutError(f"row {row}: an alternative in also= needs {len(sides[1])} names too")
    if any(names[0].captures != sides[1][0].captures for names in others):
        raise LayoutError(f"row {row}: also= must have the captures of the names that it replaces")
    for names in (*sides, *others):
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


def _check_kinds(row: Row, names: Iterable[Pattern]) -> None:
    """Refuse a capture that takes other texts in one name of a row than in another."""
    kinds: dict[str, Any] = {}
    for known in names:
        for name, (kind, choices) in known.kinds.items():
            if kinds.setdefault(name, (kind, set(choices))) != (kind, set(choices)):
                raise LayoutError(
                    f"row {row}: {name} is captured in two ways; write the same choices, or the "
                    f"same {{{name}...}}, in all names of the row"
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
    for a, b in candidates([known for known, _ in side.patterns]):
        (one, first), (other, second) = side.patterns[a], side.patterns[b]
        if not _decided(first, second) and overlap(one, other):
            rows = " and ".join(f"({taker.rule})" for taker in (first, second))
            key = one.text if one.text == other.text else f"{one.text} and {other.text}"
            raise LayoutError(f"two rows take one key, {key}: {rows}; make their names differ")


def _decided(first: Taker, second: Taker) -> bool:
    if first.rule is second.rule and first.position == second.position:
        return True  # the names of one row with two prefixes
    return any(isinstance(t.rule, Drop) and t.rule.shape is not None for t in (first, second))


def check_lacking(row: Lacks) -> None:
    """Refuse a constant, or a tie, that no tensor gives the captures of."""
    name = lacking(row)
    if row.constant is None and not row.tied:
        return
    option, text = ("like", row.constant.like) if row.constant else ("tied", row.tied)
    like = pattern(text)
    if like.captures != name.captures or overlap(like, name):
        raise LayoutError(
            f"row {row}: {option}={text!r} must be another canonical name with the same captures"
        )


def check_coverage(rows: Sequence[Declared], names: Side) -> None:
    """Refuse rows with a canonical name that does not exist, or without one that is required."""
    mine: list[tuple[Declared, Pattern]] = []
    for row in rows:
        if isinstance(row, Row):
            mine += [(row, name) for name in canonical(row)]
        elif isinstance(row, Lacks):
            mine.append((row, lacking(row)))
    patterns = [name for _, name in mine] + [known for known, _ in names.patterns]
    met: set[int] = set()
    for a, b in candidates(patterns):
        if a < len(mine) <= b and not {a, b} <= met and overlap(patterns[a], patterns[b]):
            met |= {a, b}
    for position, (row, name) in enumerate(mine):
        if position not in met:
            raise LayoutError(f"row {row}: {name.text} is not a canonical name of its base")
    for position, (known, taker) in enumerate(names.patterns, len(mine)):
        needed = isinstance(taker.rule, Rule) and not taker.rule.row.optional
        if needed and position not in met:
            raise LayoutError(f"no row has the canonical name {known.text}; add one")

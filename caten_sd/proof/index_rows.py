"""Rows for many indices: one pattern for pairs that are alike but for the numbers in names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from caten_sd.mapping.conditions import conditions, hold
from caten_sd.mapping.operations import Operation
from caten_sd.mapping.pattern_pieces import HOLE
from caten_sd.mapping.rows import Row
from caten_sd.proof.key_indices import filled, indexed
from caten_sd.proof.operation_search import STACKED, Between

_LETTERS = "ijkmnpqrst"

Numbers = tuple[int, ...]  # those of all names of a row, of A and then of B
_MODULI = (2, 3, 4, 5, 6, 8)


class RowKind(NamedTuple):
    """What rows for many indices have in common: the templates of their names, the operation."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    holes: tuple[int, ...]  # for each name, the place of the stacked number or -1
    operation: Operation


# By a side and a template: the numbers of all keys that have it.
Known = Mapping[tuple[str, str], set[Numbers]]


class Rows(NamedTuple):
    """A row, and the matches that it stands for."""

    row: Row
    members: list[Between]


def index_rows(found: Sequence[Between]) -> list[Rows]:
    """Return rows in the order of the first match of each, as few as the indices allow."""
    kinds: dict[RowKind, list[Between]] = {}
    known: dict[tuple[str, str], set[Numbers]] = {}
    for each in found:
        kinds.setdefault(_kind(each), []).append(each)
        for side, template, numbers in _keys(each):
            known.setdefault((side, template), set()).add(numbers)
    rows: list[Rows] = []
    for kind, members in kinds.items():
        rows += _of_kind(kind, members, known)
    return rows


def _keys(each: Between) -> Iterator[tuple[str, str, Numbers]]:
    """Yield the side, the template and the numbers of each key of a match."""
    for side, bearers in (("a", each.match.a), ("b", each.match.b)):
        for bearer in bearers:
            for key in bearer.keys:
                yield side, *indexed(key)


def _kind(each: Between) -> RowKind:
    bearers = [*each.match.a, *each.match.b]
    templates = [indexed(bearer.keys[0]).template for bearer in bearers]
    count = len(each.match.a)
    holes = tuple(bearer.hole for bearer in bearers)
    return RowKind(tuple(templates[:count]), tuple(templates[count:]), holes, each.operation)


def _of_kind(kind: RowKind, members: list[Between], known: Known) -> Iterator[Rows]:
    """Yield one row for all members, or for those with one number at a place, or one for each."""
    numbers = [_numbers(each) for each in members]
    whole = _of_all(kind, members, numbers, known)
    if whole is not None:
        yield whole
        return
    for place in reversed(range(len(numbers[0]))):
        parts: dict[int, list[int]] = {}
        for n, own in enumerate(numbers):
            parts.setdefault(own[place], []).append(n)
        if not 1 < len(parts) <= len(members) // 2:
            continue
        rows = [
            _of_all(kind, [members[n] for n in part], [numbers[n] for n in part], known)
            for part in parts.values()
        ]
        if None not in rows:
            yield from (row for row in rows if row is not None)
            return
    for each, own in zip(members, numbers, strict=True):
        yield Rows(_row(kind, [str(number) for number in own], ""), [each])


def _of_all(
    kind: RowKind, members: list[Between], numbers: Sequence[Numbers], known: Known
) -> Rows | None:
    """Return a row for all members and no other keys, or None."""
    if len(members) == 1:
        return Rows(_row(kind, [str(number) for number in numbers[0]], ""), members)
    captures = _captures(numbers, kind)
    where = None if captures is None else _where(kind, captures, members, known)
    if captures is None or where is None:
        return None
    return Rows(_row(kind, captures, where), members)


def _where(
    kind: RowKind, captures: Sequence[str], members: Sequence[Between], known: Known
) -> str | None:
    """Return the condition that tells its keys from others with these names, or None."""
    own: dict[tuple[str, str], set[Numbers]] = {}
    for each in members:
        for side, template, numbers in _keys(each):
            own.setdefault((side, template), set()).add(numbers)
    values: dict[str, tuple[set[int], set[int]]] = {}
    start, stacked = 0, _stacked_places(kind)
    for side, templates in (("a", kind.a), ("b", kind.b)):
        for template in templates:
            places = range(start, start := start + _holes([template]))
            texts = ["*" if place in stacked else captures[place] for place in places]
            mine = own[side, template]
            foreign = [n for n in known[side, template] - mine if _has_constants(texts, n)]
            for hole, text in enumerate(texts):
                if foreign and len(name := text.strip("{}")) == 1 and text.startswith("{"):
                    inner, outer = values.setdefault(name, (set(), set()))
                    inner.update(numbers[hole] for numbers in mine)
                    outer.update(numbers[hole] for numbers in foreign)
            if foreign and not any(text.startswith("{") for text in texts):
                return None
    if not values:
        return ""
    return next(filter(None, (_condition(name, *both) for name, both in values.items())), None)


def _has_constants(texts: Sequence[str], numbers: Numbers) -> bool:
    """Return whether numbers are those that a pattern has where it has no captures."""
    return all(
        text == str(number) for text, number in zip(texts, numbers, strict=True) if text.isdecimal()
    )


def _condition(name: str, own: set[int], foreign: set[int]) -> str | None:
    """Return a condition that holds for own indices and for no foreign ones.

    >>> _condition("i", {0, 2, 4}, {1, 3}), _condition("i", {1, 2}, {0}), _condition("i", {1}, {1})
    ('i % 2 == 0', 'i >= 1', None)
    """
    tests = [f"{name} < {max(own) + 1}", f"{name} >= {min(own)}"]
    for modulus in _MODULI:
        tests.append(f"{name} % {modulus} == {min(own) % modulus}")
        tests.append(f"{name} % {modulus} != {min(foreign) % modulus}")
    for text in tests:
        known = conditions(text)
        own_hold = all(hold(known, {name: n}, None) for n in own)
        if own_hold and not any(hold(known, {name: n}, None) for n in foreign):
            return text
    return None


def _numbers(each: Between) -> Numbers:
    bearers = (*each.match.a, *each.match.b)
    return tuple(n for bearer in bearers for n in indexed(bearer.keys[0]).numbers)


def _captures(numbers: Sequence[Numbers], kind: RowKind) -> list[str] | None:
    """Return what a pattern has in place of each number, or None if no pattern gives them all."""
    columns = list(zip(*numbers, strict=True))
    stacked = _stacked_places(kind)
    texts: list[str] = []
    known: dict[tuple[int, ...], str] = {}
    here = _holes(kind.a)
    for place, column in enumerate(columns):
        if place in stacked or len(set(column)) == 1:
            texts.append(str(column[0]))
            continue
        text = known.get(column) or _shifted(column, known)
        if text is None:
            if place >= here or len(known) == len(_LETTERS):
                return None
            text = known[column] = _LETTERS[len(known)]
        texts.append(f"{{{text}}}")
    if not known or len(set(zip(*known, strict=True))) < len(numbers):
        return None
    names = _by_name(kind, texts)
    same = all(sorted(_used(each)) == sorted(_used(names[0])) for each in names)
    return texts if same and len(set(_used(names[0]))) == len(_used(names[0])) else None


def _used(texts: Sequence[str]) -> list[str]:
    return [text.strip("{}")[:1] for text in texts if text.startswith("{")]


def _by_name(kind: RowKind, texts: Sequence[str]) -> list[Sequence[str]]:
    """Return the texts of each name of a row."""
    found, start = [], 0
    for template in (*kind.a, *kind.b):
        found.append(texts[start : start + _holes([template])])
        start += _holes([template])
    return found


def _shifted(column: tuple[int, ...], known: Mapping[tuple[int, ...], str]) -> str | None:
    """Return a sum of a captured index and a number that gives all of a column."""
    for other, name in known.items():
        by = column[0] - other[0]
        if all(one - two == by for one, two in zip(column, other, strict=True)):
            return f"{name}{by:+d}"
    return None


def _holes(templates: Sequence[str]) -> int:
    return sum(len(template.split(HOLE)) - 1 for template in templates)


def _stacked_places(kind: RowKind) -> set[int]:
    """Return the places of the stacked numbers among all numbers."""
    found, start = set(), 0
    for template, hole in zip((*kind.a, *kind.b), kind.holes, strict=True):
        if hole >= 0:
            found.add(start + hole)
        start += len(template.split(HOLE)) - 1
    return found


def _row(kind: RowKind, texts: Sequence[str], where: str) -> Row:
    texts = list(texts)
    for place in _stacked_places(kind):
        texts[place] = f"{{{STACKED}}}"
    templates = (*kind.a, *kind.b)
    names = [
        filled(template, each)
        for template, each in zip(templates, _by_name(kind, texts), strict=True)
    ]
    a, b = names[: len(kind.a)], names[len(kind.a) :]
    here, there = a[0] if len(a) == 1 else tuple(a), b[0] if len(b) == 1 else tuple(b)
    return Row(here, "" if here == there else there, kind.operation, where=where)

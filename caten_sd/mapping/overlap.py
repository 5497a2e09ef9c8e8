"""Whether one key can match two patterns, decided from the patterns alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.index_terms import IndexTerms
from caten_sd.mapping.pattern_pieces import HOLE, Piece, Segment, taken_apart
from caten_sd.mapping.patterns import Pattern

_TRIED = 40  # values of an index
_TRIED_NUMBERS = (1, 2, 5)  # values of a named number
_MOST_TRIED = 1 << 12  # combinations of values of the indices of a pattern
_MOST_PAIRS = 10_000  # of patterns that are alike but for their numbers
_MOST_VARIANTS = 64  # of the choices of one pattern

_DIGIT, _START, _WORD = "digit", "start", "word"  # classes of characters
_CLASSES = {
    _DIGIT: re.compile(r"[0-9]"),
    _START: re.compile(r"[^\W\d]"),
    _WORD: re.compile(r"[\w-]"),
}
Tokens = tuple[tuple[str, bool], ...]  # a character or a class, and whether it may be repeated


def overlap(one: Pattern, other: Pattern) -> bool:
    """Return whether some key matches both patterns.

    >>> from caten_sd.mapping.patterns import pattern
    >>> overlap(pattern("{block}.{i}"), pattern("h.0"))
    True
    >>> overlap(pattern("{block}.{i}"), pattern("h.bias"))
    False
    >>> overlap(pattern("blk.{2*i}"), pattern("blk.{2*i+1}"))
    False
    """
    if not _segments_overlap(one.segments, other.segments):
        return False
    rests = any(piece.kind == "rest" for piece in (*one.pieces, *other.pieces))
    return rests or _numbers_overlap(one, other)


def candidates(patterns: Sequence[Pattern]) -> list[tuple[int, int]]:
    """Return the positions of each two patterns that may overlap, without trying every pair.

    Patterns of one template can overlap only if they agree where both have a literal number.
    """
    alike: dict[str, dict[tuple[int, ...], list[_Entry]]] = {}
    named: list[int] = []
    for position, known in enumerate(patterns):
        variants = _variants(known)
        named += [position] * (variants is None)
        for text in variants or ():
            template, fixed = _fixed_numbers(text)
            places = alike.setdefault(template, {}).setdefault(tuple(fixed), [])
            places.append(_Entry(position, fixed))
    pairs: set[tuple[int, int]] = set()
    for by_places in alike.values():
        for one, other in itertools.combinations_with_replacement(by_places, 2):
            common = [place for place in one if place in other]
            for a, b in _agreeing(by_places[one], by_places[other], common):
                pairs.update([(min(a, b), max(a, b))] * (a != b))
                _check_few(pairs, patterns, a)
    others = itertools.product(named, range(len(patterns)))
    return sorted(pairs | {(min(pair), max(pair)) for pair in others if pair[0] != pair[1]})


def _check_few(pairs: Sized, patterns: Sequence[Pattern], last: int) -> None:
    """Refuse more pairs of patterns than can be compared."""
    if len(pairs) > max(_MOST_PAIRS, 2 * len(patterns)):  # two layouts may share every literal name
        raise LayoutError(
            f"more than {_MOST_PAIRS:,} pairs of names are alike but for their numbers, "
            f"{patterns[last].text} among them, and comparing them takes too long; capture the "
            f"numbers, as in {{i}}"
        )


class _Entry(NamedTuple):
    """The position of a pattern, and the numbers that it has as literals, by their place."""

    position: int
    fixed: dict[int, str]


def _agreeing(
    some: Sequence[_Entry], others: Sequence[_Entry], common: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield the positions of entries that have the same numbers at common places."""
    found: dict[tuple[str, ...], list[int]] = {}
    for entry in others:
        found.setdefault(tuple(entry.fixed[at] for at in common), []).append(entry.position)
    for entry in some:
        for position in found.get(tuple(entry.fixed[at] for at in common), ()):
            yield entry.position, position


def _fixed_numbers(text: str) -> tuple[str, dict[int, str]]:
    """Return the template of a text that has holes for indices, and its literal numbers."""
    template, fixed, place = "", {}, 0
    for part in text.split(HOLE):
        inner, numbers = taken_apart(part)
        fixed.update({place + n: number for n, number in enumerate(numbers)})
        place += len(numbers) + 1
        template += inner + HOLE
    return template, fixed


def _variants(known: Pattern) -> list[str] | None:
    """Return the texts of a pattern for its choices, indices as holes; None if it takes names."""
    texts = [""]
    for segment in known.segments:
        for number, piece in enumerate(segment):
            if piece.kind in ("name", "rest", "joined"):
                return None
            ends = piece.choices or [HOLE if piece.kind == "index" else piece.text]
            start = "" if number else known.separator
            texts = [text + start + end for text in texts for end in ends]
            if len(texts) > _MOST_VARIANTS:
                return None
    return texts


def _segments_overlap(one: Sequence[Segment], other: Sequence[Segment]) -> bool:
    """Return whether words can be found that the segments of both take in turn."""
    states, seen = [(0, 0)], {(0, 0)}
    while states:
        a, b = states.pop()
        if (a, b) == (len(one), len(other)):
            return True
        if a == len(one) or b == len(other) or not _words_overlap(one[a], other[b]):
            continue
        after = itertools.product(_after(one, a), _after(other, b))
        fresh = [state for state in after if state not in seen]
        seen.update(fresh)
        states += fresh
    return False


def _after(known: Sequence[Segment], at: int) -> tuple[int, ...]:
    return (at, at + 1) if known[at][0].kind == "rest" else (at + 1,)


def _words_overlap(one: Segment, other: Segment) -> bool:
    if "rest" in (one[0].kind, other[0].kind):
        return True
    return any(
        _tokens_overlap(first, second)
        for first, second in itertools.product(_tokens(one), _tokens(other))
    )


def _tokens(segment: Segment) -> list[Tokens]:
    """Return the characters that a segment takes, for each of its choices."""
    return [
        tuple(token for each in parts for token in each)
        for parts in itertools.product(*map(_of_piece, segment))
    ]


def _of_piece(piece: Piece) -> list[Tokens]:
    if piece.kind == "index":
        return [((_DIGIT, False), (_DIGIT, True))]
    if piece.kind == "joined":
        return [((_WORD, False), (_WORD, True))]
    if piece.kind == "name":
        return [((_START, False), (_WORD, True))]
    return [tuple((sign, False) for sign in text) for text in piece.choices or (piece.text,)]


def _tokens_overlap(one: Tokens, other: Tokens) -> bool:
    if not any(len(sign) > 1 for sign, _ in (*one, *other)):
        return one == other
    states, seen = [(0, 0)], {(0, 0)}
    while states:
        a, b = states.pop()
        if (a, b) == (len(one), len(other)):
            return True
        fresh = [state for state in _moves(one, other, a, b) if state not in seen]
        seen.update(fresh)
        states += fresh
    return False


def _moves(one: Tokens, other: Tokens, a: int, b: int) -> Iterator[tuple[int, int]]:
    if a < len(one) and one[a][1]:
        yield a + 1, b
    if b < len(other) and other[b][1]:
        yield a, b + 1
    if a < len(one) and b < len(other) and _meet(one[a][0], other[b][0]):
        yield a if one[a][1] else a + 1, b if other[b][1] else b + 1


def _meet(one: str, other: str) -> bool:
    """Return whether some character is, or belongs to, both."""
    if one == other or {one, other} <= {_START, _WORD} or {one, other} <= {_DIGIT, _WORD}:
        return True
    for sign, name in ((one, other), (other, one)):
        if len(sign) == 1 and name in _CLASSES:
            return _CLASSES[name].fullmatch(sign) is not None
    return False


Number = str | IndexTerms  # what a pattern has where a key has a number


def _numbers_overlap(one: Pattern, other: Pattern) -> bool:
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
        for number in _TRIED_NUMBERS
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
    texts = (one.text, other.text, *(each.bound for each in (*one.where, *other.where)))
    bounds = {int(number) for text in texts for number in taken_apart(text)[1]}
    near = {bound + by for bound in bounds for by in (-2, -1, 0, 1, 2)}
    return [*range(_TRIED), *sorted(value for value in near if value >= _TRIED)]

"""Whether one key can match two patterns, decided from the patterns alone."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence, Sized
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.number_overlap import check_soon, numbers_overlap
from caten_sd.mapping.pattern_pieces import HOLE, Piece, Segment, taken_apart
from caten_sd.mapping.patterns import Pattern

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
    return rests or numbers_overlap(one, other)


def candidates(patterns: Sequence[Pattern]) -> list[tuple[int, int]]:
    """Return the positions of each two patterns that may overlap, without trying every pair.

    Patterns of one template can overlap only if they agree where both have a literal number.
    """
    alike: dict[str, dict[tuple[int, ...], list[_Entry]]] = {}
    named: list[int] = []
    for position, known in enumerate(patterns):
        variants = _variants(known)
        named += [position] * (variants is None)
        for template, fixed in variants or ():
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
    found = sorted(pairs | {(min(pair), max(pair)) for pair in others if pair[0] != pair[1]})
    check_soon(found, patterns)
    return found


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


@functools.lru_cache(maxsize=4096)
def _variants(known: Pattern) -> list[tuple[str, dict[int, str]]] | None:
    """Return the templates of a pattern for its choices, with their literal numbers.

    None if it takes names, or too many choices.
    """
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
    return [_fixed_numbers(text) for text in texts]


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

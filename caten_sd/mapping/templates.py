"""Find which patterns keys match: once for all keys that are alike but for their numbers."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.conditions import hold
from caten_sd.mapping.index_terms import IndexTerms
from caten_sd.mapping.pattern_pieces import HOLE, Piece, Segment, taken_apart
from caten_sd.mapping.patterns import Pattern

T = TypeVar("T")

Paths = Mapping[str, str]  # paths with "_" between their segments -> the paths
Fixed = dict[int, str]  # the numbers that a pattern has as literals: place among a key's -> number


class KeyMatch(NamedTuple, Generic[T]):
    """How the keys of one template match a pattern, and what the pattern was entered with.

    ``texts`` are the captured texts, with a hole for each number from the place that follows.
    ``terms`` are the indices, each with the place of its number.
    """

    pattern: Pattern
    payload: T
    texts: tuple[tuple[str, str, int], ...]
    terms: tuple[tuple[IndexTerms, int], ...]
    is_plain: bool  # each number is an index as it is, and all of them match
    joined: str = ""  # the name of a path whose segments have "_" between them

    def captured(
        self, numbers: Sequence[str], lookup: Lookup | None, paths: Paths | None = None
    ) -> dict[str, str] | None:
        """Return what a key with these numbers captures, or None if it does not match."""
        found = {name: _filled(text, numbers, at) for name, text, at in self.texts}
        if self.joined and paths is not None:
            if (path := paths.get(found[self.joined])) is None:
                return None
            found[self.joined] = path
        for terms, at in self.terms:
            if terms.is_plain:
                found[terms.text] = numbers[at]
                continue
            indices = terms.read(int(numbers[at]), lookup)
            if indices is None:
                return None
            found.update((name, str(index)) for name, index in indices.items())
        return found if hold(self.pattern.where, found, lookup) else None


def _filled(text: str, numbers: Sequence[str], at: int) -> str:
    first, *others = text.split(HOLE)
    return "".join([first, *(n + other for n, other in zip(numbers[at:], others, strict=False))])


class _Node(Generic[T]):
    __slots__ = ("ends", "literals", "others")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.others: dict[str, tuple[re.Pattern[str], _Node[T]]] = {}
        self.ends: list[tuple[Pattern, T]] = []

    def child(self, segment: Segment) -> _Node[T]:
        if all(piece.kind in ("literal", "index") for piece in segment):
            return self.literals.setdefault(_template(segment), _Node())
        regex = _regex(segment)
        return self.others.setdefault(regex.pattern, (regex, _Node()))[1]

    def after(self, word: str) -> list[_Node[T]]:
        node = self.literals.get(word)
        found = [] if node is None else [node]
        return found + [child for regex, child in self.others.values() if regex.fullmatch(word)]


class Matcher(Generic[T]):
    """Patterns, arranged so that a search takes a time that does not grow with their number."""

    def __init__(self, entries: Iterable[tuple[Pattern, T]], separator: str = ".") -> None:
        self._separator = separator
        self._root: _Node[T] = _Node()
        self._long: list[tuple[Pattern, T]] = []  # those that take any number of segments
        for entry in entries:
            if any(piece.kind == "rest" for piece in entry[0].pieces):
                self._long.append(entry)
                continue
            node = self._root
            for segment in entry[0].segments:
                node = node.child(segment)
            node.ends.append(entry)

    def matches(self, template: str) -> Iterator[tuple[Fixed, KeyMatch[T]]]:
        """Yield how the keys of a template match, if their numbers at fixed places are these."""
        words = template.split(self._separator)
        nodes = [self._root]
        for word in words:
            nodes = [after for node in nodes for after in node.after(word)]
        for known, payload in [end for node in nodes for end in node.ends] + self._long:
            for fixed, texts, terms in _readings(known, words, self._separator):
                plain = not known.where and all(each.is_plain for each, _ in terms)
                plain = plain and not any(HOLE in text for _, text, _ in texts)
                joined = next((each.text for each in known.pieces if each.kind == "joined"), "")
                yield fixed, KeyMatch(known, payload, texts, terms, plain and not joined, joined)


class _Alike(NamedTuple, Generic[T]):
    """The matches of all keys of a template, and those that depend on numbers at these places."""

    always: list[KeyMatch[T]]
    keyed: dict[tuple[int, ...], dict[tuple[str, ...], list[KeyMatch[T]]]]


class Finder(Generic[T]):
    """Finds the patterns that keys match, and remembers each template that it has met."""

    def __init__(
        self, matcher: Matcher[T], lookup: Lookup | None = None, paths: Paths | None = None
    ) -> None:
        self._matcher, self.lookup, self.paths = matcher, lookup, paths
        self._known: dict[str, _Alike[T]] = {}

    def find(self, key: str) -> list[tuple[T, dict[str, str]]]:
        """Return the payload and the captures of every pattern that the key matches.

        >>> from caten_sd.mapping.patterns import pattern
        >>> Finder(Matcher([(pattern("h.{i}.{part}"), "row")])).find("h.3.bias")
        [('row', {'part': 'bias', 'i': '3'})]
        """
        matches, numbers = self.matches(key)
        found = ((each.payload, self.captured(each, numbers)) for each in matches)
        return [(payload, captured) for payload, captured in found if captured is not None]

    def captured(self, match: KeyMatch[T], numbers: Sequence[str]) -> dict[str, str] | None:
        """Return what a key with these numbers captures, or None if it does not match."""
        return match.captured(numbers, self.lookup, self.paths)

    def matches(self, key: str) -> tuple[list[KeyMatch[T]], list[str]]:
        """Return what the key may match, and its numbers, which decide unless a match is plain."""
        template, numbers = taken_apart(key)
        alike = self._known.get(template)
        if alike is None:
            alike = self._known[template] = self._resolved(template, len(numbers))
        if not alike.keyed:
            return alike.always, numbers
        found = list(alike.always)
        for places, table in alike.keyed.items():
            found += table.get(tuple([numbers[place] for place in places]), [])
        return found, numbers

    def _resolved(self, template: str, holes: int) -> _Alike[T]:
        alike: _Alike[T] = _Alike([], {})
        if template.count(HOLE) != holes:  # the key itself has the sign, which no name has
            return alike
        for fixed, match in self._matcher.matches(template):
            if not fixed:
                alike.always.append(match)
                continue
            table = alike.keyed.setdefault(tuple(fixed), {})
            table.setdefault(tuple(fixed.values()), []).append(match)
        return alike


Reading = tuple[Fixed, tuple[tuple[str, str, int], ...], tuple[tuple[IndexTerms, int], ...]]


def _readings(known: Pattern, words: Sequence[str], separator: str) -> Iterator[Reading]:
    """Yield how a pattern reads a template: several times where choices differ in numbers."""
    if len(words) < len(known.segments):
        return
    place, parts = 0, []
    for segment, (start, stop) in zip(
        known.segments, _spans(known.segments, len(words)), strict=True
    ):
        read = _read(segment, words[start:stop], separator)
        if read is None:
            return
        for piece, text in zip(segment, read, strict=True):
            parts.append((piece, text, place))
            place += text.count(HOLE)
    texts = tuple((p.text, text, at) for p, text, at in parts if p.kind in _TEXTS)
    terms = tuple((p.terms, at) for p, _, at in parts if p.terms is not None)
    given = [_fixed(*part) for part in parts if part[0].kind in _GIVEN and HOLE in part[1]]
    for chosen in itertools.product(*given):
        yield {at: number for each in chosen for at, number in each.items()}, texts, terms


_TEXTS, _GIVEN = ("name", "choice", "rest", "joined"), ("literal", "choice")


def _read(segment: Segment, words: Sequence[str], separator: str) -> Sequence[str] | None:
    """Return what each piece of a segment takes of the words, or None if it does not match."""
    if segment[0].kind != "rest":
        found = _regex(segment).fullmatch(words[0])
        return found and found.groups()
    # A word with a dot could not be written from a path with dots.
    readable = all(words) and (separator == "." or not any("." in word for word in words))
    return [".".join(words)] if readable else None


def _spans(known: Sequence[Segment], words: int) -> list[tuple[int, int]]:
    """Return the range of words that each segment takes; the rest takes what others leave."""
    spans, start, extra = [], 0, words - len(known)
    for segment in known:
        stop = start + 1 + (extra if segment[0].kind == "rest" else 0)
        spans.append((start, stop))
        start = stop
    return spans


def _fixed(piece: Piece, text: str, place: int) -> list[Fixed]:
    """Return the numbers that a literal or the choices have where a key's template has holes."""
    found = map(taken_apart, [piece.text] if piece.kind == "literal" else piece.choices)
    numbers = [each for template, each in found if template == text]
    return [{place + n: number for n, number in enumerate(each)} for each in numbers]


@functools.lru_cache(maxsize=4096)
def _regex(segment: Segment) -> re.Pattern[str]:
    return re.compile("".join(piece.regex for piece in segment))


def _template(segment: Segment) -> str:
    return "".join(
        taken_apart(piece.text)[0] if piece.kind == "literal" else HOLE for piece in segment
    )

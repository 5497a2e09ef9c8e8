"""Patterns of keys: whole dotted segments, anchored at both ends, with captures.

``{i}``, one letter, captures an index. ``{part}``, a longer word, captures a name.
``{part:weight|bias}`` captures one of the choices. A capture never crosses a dot.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from caten_sd.errors import LayoutError

T = TypeVar("T")

_CAPTURE = re.compile(r"\{([^\W\d]\w*)(?::([^{}:]+))?\}")
_NAME = re.compile(r"[^\W\d][\w-]*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")  # within 64 bits: a key can be any text


class Segment(NamedTuple):
    """The text between two dots: a literal ``text``, or a capture whose name is ``text``."""

    kind: str  # "literal", "index", "name" or "choice"
    text: str
    choices: frozenset[str] = frozenset()

    def accepts(self, word: str) -> bool:
        """Return whether it matches this segment of a key."""
        if self.kind == "literal":
            return word == self.text
        if self.kind == "index":
            # A leading zero would be lost when the key is written from the number.
            return _INDEX.fullmatch(word) is not None
        if self.kind == "choice":
            return word in self.choices
        return _NAME.fullmatch(word) is not None

    def overlaps(self, other: Segment) -> bool:
        """Return whether some segment of a key matches both."""
        for one, two in ((self, other), (other, self)):
            if one.kind == "literal":
                return two.accepts(one.text)
            if one.kind == "choice":
                return any(map(two.accepts, one.choices))
        return self.kind == other.kind


class Pattern:
    """A key with captures, such as ``h.{i}.attn.{part}``; make it with ``pattern(text)``."""

    __slots__ = ("captures", "places", "segments", "template", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.segments = tuple(_segment(word, text) for word in text.split("."))
        self.places = {s.text: n for n, s in enumerate(self.segments) if s.kind != "literal"}
        if len(self.places) != sum(segment.kind != "literal" for segment in self.segments):
            raise LayoutError(f"{text!r} captures one name twice; give each capture its own")
        self.captures = frozenset(self.places)
        self.template = _CAPTURE.sub(r"{\1}", text)

    def key(self, captured: Mapping[str, Any]) -> str:
        """Return the key with the captures filled in.

        >>> pattern("h.{i}.ln_1.{part:weight|bias}").key({"i": 3, "part": "bias"})
        'h.3.ln_1.bias'
        """
        return self.template.format_map(captured) if self.captures else self.text

    def read(self, words: list[str]) -> dict[str, str]:
        """Return the captures of a key that matches, given as its segments."""
        return {name: words[place] for name, place in self.places.items()}

    def overlaps(self, other: Pattern) -> bool:
        """Return whether some key matches both patterns.

        >>> pattern("{block}.{i}").overlaps(pattern("h.0"))
        True
        >>> pattern("{block}.{i}").overlaps(pattern("h.bias"))
        False
        """
        return len(self.segments) == len(other.segments) and all(
            map(Segment.overlaps, self.segments, other.segments)
        )

    def __repr__(self) -> str:
        return f"pattern({self.text!r})"


pattern = functools.cache(Pattern)


def is_index(capture: str) -> bool:
    """Return whether a capture of this name takes an index, that is, has one letter."""
    return len(capture) == 1


def _segment(word: str, text: str) -> Segment:
    found = _CAPTURE.fullmatch(word)
    if found is None:
        if not word or any(sign in word for sign in "{}*") or word.split() != [word]:
            raise LayoutError(
                f"{text!r} is not a pattern at {word!r}; write names between dots, and captures as "
                f"whole segments: {{i}} for an index, {{part}} for a name"
            )
        return Segment("literal", word)
    name, choices = found.groups()
    if choices:
        return Segment("choice", name, frozenset(choices.split("|")))
    return Segment("index" if is_index(name) else "name", name)


class _Node(Generic[T]):
    __slots__ = ("captures", "ends", "literals")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.captures: dict[tuple[str, frozenset[str]], tuple[Segment, _Node[T]]] = {}
        self.ends: list[tuple[Pattern, T]] = []

    def child(self, segment: Segment) -> _Node[T]:
        if segment.kind == "literal":
            return self.literals.setdefault(segment.text, _Node())
        key = segment.kind, segment.choices
        return self.captures.setdefault(key, (segment, _Node()))[1]

    def after(self, word: str) -> list[_Node[T]]:
        node = self.literals.get(word)
        found = [] if node is None else [node]
        for segment, child in self.captures.values():
            if segment.accepts(word):
                found.append(child)
        return found


class Matcher(Generic[T]):
    """Finds the patterns that a key matches, in time that does not grow with their number."""

    def __init__(self, entries: Iterable[tuple[Pattern, T]]) -> None:
        self._root: _Node[T] = _Node()
        for entry in entries:
            node = self._root
            for segment in entry[0].segments:
                node = node.child(segment)
            node.ends.append(entry)

    def find(self, key: str) -> list[tuple[T, dict[str, str]]]:
        """Return the payload and the captures of every pattern that the key matches.

        >>> Matcher([(pattern("h.{i}.{part}"), "row")]).find("h.3.bias")
        [('row', {'i': '3', 'part': 'bias'})]
        """
        words = key.split(".")
        nodes = [self._root]
        for word in words:
            nodes = [after for node in nodes for after in node.after(word)]
        return [(payload, known.read(words)) for node in nodes for known, payload in node.ends]

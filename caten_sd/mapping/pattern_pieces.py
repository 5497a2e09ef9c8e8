"""Segments of a pattern: literal text and captures between two separators of a key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.index_terms import IndexTerms, index_terms

HOLE = "\0"  # takes the place of a number in a template

# A number that is written as it would be read, within 64 bits: a key can be any text.
_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]{0,17})(?![0-9])")
_BRACES = re.compile(r"(\{[^{}]*\})")
_NAME = re.compile(r"[^\W\d]\w*")


def taken_apart(key: str) -> tuple[str, list[str]]:
    """Return a key's template, which has a hole for each number, and the numbers.

    >>> taken_apart("h.10.mlp.fc2")
    ('h.\\x00.mlp.fc\\x00', ['10', '2'])
    """
    parts = _NUMBER.split(key)
    return HOLE.join(parts[::2]), parts[1::2]


class Piece(NamedTuple):
    """Literal ``text``, or a capture whose name is ``text``.

    ``kind`` is "literal", "index", "name", "choice", "rest", or "joined", which is a path whose
    segments have "_" between them.
    """

    kind: str
    text: str
    choices: tuple[str, ...] = ()
    terms: IndexTerms | None = None

    @property
    def captures(self) -> tuple[str, ...]:
        """The names that it captures."""
        if self.terms is not None:
            return tuple(name for name, _ in self.terms.factors)
        return () if self.kind == "literal" else (self.text,)

    @property
    def regex(self) -> str:
        """What it matches of a template, as a group."""
        if self.kind == "literal":
            return f"({re.escape(taken_apart(self.text)[0])})"
        if self.kind == "index":
            return f"({HOLE})"
        if self.kind == "choice":
            texts = dict.fromkeys(taken_apart(choice)[0] for choice in self.choices)
            return f"({'|'.join(map(re.escape, texts))})"
        if self.kind == "joined":
            return rf"([\w{HOLE}-]+)"
        return rf"([^\W\d][\w{HOLE}-]*)"


Segment = tuple[Piece, ...]  # a "rest", which takes several segments of a key, is alone in one


def segments(text: str, separator: str) -> tuple[Segment, ...]:
    """Return the segments of a pattern; LayoutError if they are not ones that can be read back."""
    found: list[list[Piece]] = [[]]
    for word in _BRACES.split(text):
        if word.startswith("{") and word.endswith("}"):
            found[-1].append(_capture(word[1:-1], text))
            continue
        first, *others = word.split(separator)
        for number, literal in enumerate([first, *others]):
            if number:
                found.append([])
            if literal:
                _check_literal(literal, text)
                found[-1].append(Piece("literal", literal))
    for segment in found:
        _check_segment(segment, text)
    return tuple(map(tuple, found))


def _capture(body: str, text: str) -> Piece:
    name, colon, choices = body.partition(":")
    if name.endswith("...") and not colon and _NAME.fullmatch(name[:-3]):
        return Piece("rest", name[:-3])
    if name.endswith("..._") and not colon and _NAME.fullmatch(name[:-4]):
        return Piece("joined", name[:-4])
    if colon and choices and _NAME.fullmatch(name) and all(choices.split("|")):
        for choice in choices.split("|"):
            _check_literal(choice, text)
        return Piece("choice", name, tuple(dict.fromkeys(choices.split("|"))))
    if not colon and _NAME.fullmatch(name) and len(name) > 1:
        return Piece("name", name)
    if colon or not name:
        raise _not_a_pattern(text, f"{{{body}}}")
    return Piece("index", name, terms=index_terms(name))


def is_name(key: str) -> bool:
    """Return whether a row can have a key as its name.

    >>> [is_name(key) for key in ("h.0.w", "a/b:0", "a..b", "{i}", "a b", "")]
    [True, True, False, False, False, False]
    """
    return _is_literal(key) and all(key.split("."))


def _is_literal(text: str) -> bool:
    return not any(sign in text for sign in f"{{}}*{HOLE}") and text.split() == [text]


def _check_literal(literal: str, text: str) -> None:
    if not _is_literal(literal):
        raise _not_a_pattern(text, literal)


def _check_segment(segment: Sequence[Piece], text: str) -> None:
    """Refuse a segment that some key would match in two ways, or that is empty."""
    if not segment:
        raise _not_a_pattern(text, "")
    words = [piece for piece in segment if piece.kind in ("name", "choice", "rest", "joined")]
    if len(words) > 1 or (len(segment) > 1 and any(piece.kind == "rest" for piece in segment)):
        raise LayoutError(
            f"{text!r} has a segment that a key could match in two ways; write one name or "
            f"choice in a segment, and {{path...}} alone in its own"
        )
    for one, other in itertools.pairwise(segment):
        touching = [one.text[-1] if one.kind == "literal" else ""]
        touching.append(other.text[0] if other.kind == "literal" else "")
        if touching == ["", ""] or any(map(str.isdecimal, touching)):
            raise LayoutError(
                f"{text!r} has a capture next to a digit or to another capture; put a letter or a "
                f"sign between them"
            )


def _not_a_pattern(text: str, word: str) -> LayoutError:
    return LayoutError(
        f"{text!r} is not a pattern at {word!r}; write names between the separators and captures "
        f"in braces: {{i}} for an index, {{part}} for a name, {{part:weight|bias}} for one of "
        f"several, {{path...}} for several segments, "
        f"{{path..._}} for such with '_' between them"
    )

"""The tokens of Lisp text, each with its line and column; comments are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import SourcePlace

LONGEST = 10_000  # characters of a name or a number; a string may be as long as the text

_SKIPPED = re.compile(r"(?:\s+|;[^\n]*)+")
_NAME = r"(?:[^\s()\"'`,;|\\]+|\\.|\|[^|\\]*(?:\\.[^|\\]*)*\|)"
_TOKEN = re.compile(
    r"(?P<string>\"[^\"\\]*(?:\\.[^\"\\]*)*\")"
    r"|(?P<character>#\\.[^\s()\"'`,;]*)"
    r"|(?P<sign>,@|,\.|#'|#\.|#\+|#-|[()'`,]|#(?=\())"
    rf"|(?P<name>{_NAME}+)",
    re.DOTALL,
)


class Token(NamedTuple):
    """A piece of text; ``kind`` is "string", "character", "sign" or "name"."""

    kind: str
    text: str
    place: SourcePlace


def tokens(text: str, file: str) -> Iterator[Token]:
    """Yield the tokens; LispError for a string, a comment or bars that do not end."""
    position, line, line_start = 0, 1, 0
    while position < len(text):
        place = SourcePlace(file, line, position - line_start + 1)
        kind, end = _next(text, position, place)
        if kind:
            yield Token(kind, text[position:end], place)
        newlines = text.count("\n", position, end)
        if newlines:
            line, line_start = line + newlines, text.rindex("\n", position, end) + 1
        position = end


def _next(text: str, position: int, place: SourcePlace) -> tuple[str, int]:
    """Return the kind of what begins at a position, "" if it is skipped, and where it ends."""
    if skipped := _SKIPPED.match(text, position):
        return "", skipped.end()
    if text.startswith("#|", position):
        return "", _end_of_comment(text, position, place)
    found = _TOKEN.match(text, position)
    if found is None:
        raise _unended(text[position], place)
    kind = found.lastgroup or ""
    if kind != "string" and found.end() - position > LONGEST:
        raise LispError(
            place, f"a name has more than {LONGEST:,} characters", "this is not a file of models"
        )
    if kind == "name" and text[found.end() : found.end() + 1] in ("|", "\\"):
        raise _unended(text[found.end()], place)
    return kind, found.end()


def _unended(sign: str, place: SourcePlace) -> LispError:
    what = {'"': "string", "|": "name between bars"}.get(sign, "name")
    return LispError(place, f"the {what} that begins here does not end", f"end it with {sign}")


_COMMENT = re.compile(r"#\||\|#")


def _end_of_comment(text: str, position: int, place: SourcePlace) -> int:
    depth = 0
    for found in _COMMENT.finditer(text, position):
        depth += 1 if found.group() == "#|" else -1
        if not depth:
            return found.end()
    raise LispError(place, "the comment that begins here does not end", "end it with |#")

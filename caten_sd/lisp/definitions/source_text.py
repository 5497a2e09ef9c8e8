"""Read the definitions of a Lisp file or text; nothing in them is evaluated."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import Definition, Definitions, SkippedForm, by_kind
from caten_sd.lisp.definitions.toplevel import definitions
from caten_sd.lisp.syntax.datum import SourcePlace
from caten_sd.lisp.syntax.reader import MOST_CHARACTERS, read_data

_BEGINNINGS = ("(", ";", "#|", "#+", "#-")  # of Lisp text


@attrs.frozen
class LispSource:
    """The definitions of a file in order, the forms that were skipped, and both by name."""

    name: str
    text: str
    definitions: tuple[Definition, ...]
    skipped: tuple[SkippedForm, ...]
    by_kind: Definitions


def lisp_source(path_or_text: str | os.PathLike[str]) -> LispSource:
    """Return the definitions of a file, or of a text; LispError if it cannot be read.

    A text begins with a parenthesis or a comment, or has several lines.
    """
    if not isinstance(path_or_text, (str, os.PathLike)):
        kind = type(path_or_text).__name__
        raise LispError("read_lisp", f"{kind} is not a path or a text", "pass a path or a text")
    if isinstance(path_or_text, str) and _is_text(path_or_text):
        return named_source("text", path_or_text)
    return named_source(str(path_or_text), _text_of(Path(path_or_text)))


def named_source(name: str, text: str) -> LispSource:
    """Return the definitions of a text, whose places have this name."""
    found = list(definitions(read_data(text, name)))
    defined = tuple(each for each in found if not isinstance(each, SkippedForm))
    skipped = tuple(each for each in found if isinstance(each, SkippedForm))
    return LispSource(name, text, defined, skipped, by_kind(found))


def _is_text(text: str) -> bool:
    if "\n" in text:
        return True
    return text.lstrip().startswith(_BEGINNINGS) and not os.path.exists(text)


def _text_of(path: Path) -> str:
    try:
        path = path.expanduser()
        if path.is_fifo():  # whose end may never come
            raise LispError(path, "it is a pipe and not a file", "write it to a file first")
        with path.open("rb") as file:
            data = file.read(4 * MOST_CHARACTERS)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise LispError(path, f"it cannot be read ({reason})", "correct its path") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LispError(
            SourcePlace(str(path), line, 1), "the text is not UTF-8", "convert it to UTF-8"
        ) from error

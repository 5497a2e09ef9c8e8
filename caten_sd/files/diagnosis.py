"""Say what a file is that no format recognizes."""

from __future__ import annotations

import codecs
import re

from caten_sd.errors import FormatError
from caten_sd.files.foreign_files import foreign_file, foreign_name
from caten_sd.state.source import Source


def diagnose(source: Source) -> FormatError | None:
    """Return an error that says what the source is, or None if its first bytes do not show it."""
    head = source.head(512)
    if not head:
        return FormatError(source.name, "it is empty", "get it again")
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        size = re.search(rb"\nsize (\d+)", head)
        real = f", the real file has {int(size[1]):,} bytes" if size and len(size[1]) < 20 else ""
        problem = f"it is a Git LFS pointer of {source.size} bytes{real}"
        return FormatError(source.name, problem, "run git lfs pull")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        problem = "it is an HTML or XML page, not a checkpoint"
        return FormatError(source.name, problem, "download the file itself, logged in if need be")
    if (known := foreign_file(head) or foreign_name(source.name)) is not None:
        return FormatError(source.name, f"it is {known.kind}", known.fix)
    if (line := _first_line(head)) is not None:
        problem = f"it is text that begins {line!r}"
        return FormatError(source.name, problem, "name the checkpoint itself, or get it again")
    if not head.strip(b"\0"):
        return FormatError(source.name, "it begins with zero bytes only", "get it again")
    return None


def _first_line(head: bytes) -> str | None:
    """Return the first words of a text; None if the bytes are not text or too few."""
    try:
        # This decoder accepts a character that is cut off at the end.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    line = " ".join(text.split())
    return line[:40] if len(line) > 3 and line.isprintable() else None

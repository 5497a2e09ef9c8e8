"""The first line of a module that port writes, by which it is known whether somebody changed it."""

from __future__ import annotations

import hashlib
import re

_VERSION = 1
_LINE = (
    "# Written by caten-sd port, which replaces the file as long as nothing is changed "
    f"({_VERSION}:{{}})"
)
_PATTERN = re.compile(re.escape(_LINE).replace(r"\{\}", "([0-9a-f]{12})"))


def marked(text: str) -> str:
    """Return the text of a module with a first line that has its digest."""
    return f"{_LINE.format(_digest(text))}\n{text}"


def is_as_written(text: str) -> bool:
    r"""Return whether a text is one that port wrote, and nothing in it was changed.

    >>> text = marked("x = 1\n")
    >>> is_as_written(text), is_as_written(text.replace("1\n", "2\n")), is_as_written("x = 1\n")
    (True, False, False)
    """
    first, _, rest = text.replace("\r\n", "\n").partition("\n")
    found = _PATTERN.fullmatch(first)
    return found is not None and found[1] == _digest(rest)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

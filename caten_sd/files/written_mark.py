"""The first line of a text that a command writes, which shows whether somebody changed the file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_VERSION = 1
_LINE = (
    "# Written by caten-sd {}, which replaces the file as long as nothing is changed "
    f"({_VERSION}:{{}})"
)
_PATTERN = re.compile(re.escape(_LINE).replace(r"\{\}", "([a-z]+)", 1).replace(r"\{\}", "(.{12})"))
_LONGEST = 200  # bytes of the line


def marked(text: str, command: str) -> str:
    """Return a text with a first line that has its digest and the command that writes it."""
    return f"{_LINE.format(command, _digest(text))}\n{text}"


def is_as_written(path: Path) -> bool:
    r"""Return whether a command wrote the text at a path, and nothing in it was changed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "x.py")
    >>> text = marked("x = 1\n", "port")
    >>> for each in (text, text.replace("1\n", "2\n"), "x = 1\n"):
    ...     _ = path.write_text(each)
    ...     print(is_as_written(path))
    True
    False
    False
    """
    with path.open("rb") as file:
        first = file.readline(_LONGEST).decode("utf-8", "replace")
        found = _PATTERN.fullmatch(first.rstrip("\r\n"))
        if found is None:  # whatever size the file has
            return False
        rest = file.read().decode("utf-8", "replace")
    return found[2] == _digest(rest.replace("\r\n", "\n"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""What to say of a path that cannot be opened, and what to do about it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from caten_sd.errors import FormatError

_SCHEME = re.compile(r"[A-Za-z][\w+.-]+:/")  # longer than the letter of a drive


def unopened(path: Path, error: Exception) -> FormatError:
    """Return the error for a path that the system does not open."""
    why = getattr(error, "strerror", None) or error
    return FormatError(path, f"it cannot be opened ({why})", "check the path")


def remedy_for_missing(path: Path) -> str:
    """Return what to do about a path that does not exist.

    >>> remedy_for_missing(Path("s3://bucket/model.pt"))
    'download it first: addresses are not read'
    """
    if alike := _alike(path):
        return f"did you mean {alike!r}?"
    is_address = _SCHEME.match(str(path)) is not None
    return "download it first: addresses are not read" if is_address else "check the path"


def _alike(path: Path) -> str:
    """Return the path with the most similar name that exists, or ""."""
    import difflib

    with contextlib.suppress(OSError):
        names = [entry.name for entry in path.parent.iterdir()]
        for name in difflib.get_close_matches(path.name, names, 1):
            return str(path.with_name(name))
    return ""

"""Sizes and long text as they stand on a screen."""

from __future__ import annotations


def bytes_text(count: int) -> str:
    """Return a size in the unit that suits it, decimal.

    >>> bytes_text(154_389_504), bytes_text(96)
    ('154.4 MB', '96 B')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def cut(text: str, width: int) -> str:
    """Return the text on one line, cut to ``width`` with an ellipsis.

    >>> cut("a long\\nline", 8)
    'a long …'
    """
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"

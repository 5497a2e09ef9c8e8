"""Whether the bytes of files are copied when they are read, or seen through a map.

Who touches a map of a file that was truncated in the meantime ends the process, and no handler can
help. So whatever only takes values from a file on their way to somewhere else reads them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_copied: ContextVar[bool] = ContextVar("copied", default=False)


@contextlib.contextmanager
def bytes_copied() -> Iterator[None]:
    """Read the bytes of files in this context, where they would be mapped outside it.

    >>> with bytes_copied():
    ...     are_bytes_copied()
    True
    >>> are_bytes_copied()
    False
    """
    before = _copied.get()
    try:
        _copied.set(True)
        yield
    finally:
        _copied.set(before)


def are_bytes_copied() -> bool:
    """Return whether the bytes of files are read here, and not mapped."""
    return _copied.get()

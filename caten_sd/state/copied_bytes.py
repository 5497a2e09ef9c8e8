"""Whether the bytes of files are copied when they are read, or seen through a map.

Who touches a map of a file that was truncated in the meantime ends the process, and no handler can
help. So whatever only takes values from a file on their way to somewhere else reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_copied: ContextVar[bool] = ContextVar("copied", default=False)


def with_bytes_copied(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function; the bytes of files are read in it, where they would be mapped outside it.

    >>> with_bytes_copied(are_bytes_copied), are_bytes_copied()
    (True, False)
    """
    context = copy_context()  # nothing has to be set back, which an interruption could prevent
    context.run(_copied.set, True)
    return context.run(function, *args, **kwargs)


def are_bytes_copied() -> bool:
    """Return whether the bytes of files are read here, and not mapped."""
    return _copied.get()

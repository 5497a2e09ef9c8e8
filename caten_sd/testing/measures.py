"""What reading costs: the bytes of files that are read or handed out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from caten_sd.state.backing import FileBacking

_ACCESSES = ("fill", "read", "read_into", "view")


@contextlib.contextmanager
def bytes_touched() -> Iterator[list[int]]:
    """Yield a list to which each access to a file's bytes in this context adds its count."""
    counts: list[int] = []
    kept: dict[str, Callable[..., Any]] = {name: getattr(FileBacking, name) for name in _ACCESSES}
    try:
        for name, access in kept.items():
            setattr(FileBacking, name, _counted(access, counts))
        yield counts
    finally:
        for name, access in kept.items():
            setattr(FileBacking, name, access)


def _counted(access: Callable[..., Any], counts: list[int]) -> Callable[..., Any]:
    def call(self: FileBacking, start: int, what: Any) -> Any:
        counts.append(what if isinstance(what, int) else len(what))
        return access(self, start, what)

    return call

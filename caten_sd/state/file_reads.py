"""Read ranges of an open file, however few bytes the system returns at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_MOST_AT_ONCE = 1 << 30  # bytes; Linux returns at most 2 GiB
_SHARE, _MOST_THREADS = 1 << 22, 4  # bytes that are worth a thread


def fill(handle: int, start: int, buffer: memoryview) -> None:
    """Fill a buffer as far as the file goes."""
    got = 0
    while got < len(buffer) and (
        count := os.preadv(handle, [buffer[got : got + _MOST_AT_ONCE]], start + got)
    ):
        got += count


def fill_together(handle: int, start: int, buffer: memoryview) -> None:
    """Fill a buffer, a large one by several threads: one alone takes twice as long."""
    if len(buffer) < 2 * _SHARE:
        fill(handle, start, buffer)
        return
    share = max(-(-len(buffer) // min(os.cpu_count() or 1, _MOST_THREADS)), _SHARE)
    errors: list[OSError] = []

    def fill_share(at: int) -> None:
        try:
            fill(handle, start + at, buffer[at : at + share])
        except OSError as error:
            errors.append(error)

    first, *others = range(0, len(buffer), share)
    threads = [threading.Thread(target=fill_share, args=(at,)) for at in others]
    for thread in threads:
        thread.start()
    fill_share(first)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def read_fully(read: Callable[[int, int], bytes], start: int, count: int) -> bytes:
    """Return ``count`` bytes, by several calls if one returns fewer (2 GiB on Linux)."""
    pieces, got = [], 0
    while got < count and (piece := read(min(count - got, _MOST_AT_ONCE), start + got)):
        pieces.append(piece)
        got += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

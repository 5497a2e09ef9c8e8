"""A new file whose bytes go to the disk while more are written, so that its end waits for few."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import Any

_BUFFER = 1 << 18  # bytes; a piece of a tensor is larger, so it is not copied into the buffer
_SHARE = 1 << 25  # bytes; a smaller file goes to the disk only at its end


class SyncedFile(BufferedRandom):
    """A binary file that must be new."""

    def __init__(self, path: Path, opener: Callable[[str, int], int]) -> None:
        self._file = _EarlyFile(path, "x+", opener=opener)
        super().__init__(self._file, _BUFFER)

    def begin_sync(self) -> None:
        """Let the disk begin with all that was written, without waiting for it."""
        self.flush()
        self._file.begin_sync()

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        self.flush()
        os.fsync(self.fileno())


class _EarlyFile(FileIO):
    """A file of which the disk gets a share as soon as it is written."""

    _waiting = 0  # bytes

    def write(self, data: Any, /) -> int:
        """Write the bytes."""
        count = super().write(data)
        self._waiting += count
        if self._waiting >= _SHARE:
            self.begin_sync()
        return count

    def begin_sync(self) -> None:
        """Let the disk begin with what was written since the last time."""
        if hasattr(os, "posix_fadvise"):
            # Linux starts to write what is said to be needed no more, and keeps it until it is
            # written. Syncing in a thread would wait for what other programs write, too.
            with contextlib.suppress(OSError):  # from a file that is not on a disk
                start = max(self.tell() - self._waiting, 0)
                os.posix_fadvise(self.fileno(), start, self._waiting, os.POSIX_FADV_DONTNEED)
        self._waiting = 0

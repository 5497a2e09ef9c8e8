"""A byte store made of windows of files, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol


class Window(Protocol):
    """A range of bytes with its own offsets, such as a Source."""

    size: int

    def view(self, offset: int, count: int) -> memoryview:
        """Return the bytes, mapped if possible."""

    def read(self, offset: int, count: int) -> bytes:
        """Return a copy of the bytes."""

    @property
    def mapped(self) -> bool:
        """Whether the bytes are mapped or in memory."""

    def close(self) -> None:
        """Release the file handle."""


class JoinedBacking:
    """Windows of files, one after the other, as one range of bytes."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = windows
        self._starts = [0, *accumulate(window.size for window in windows)]

    @property
    def mapped(self) -> bool:
        """Whether every window is mapped or in memory."""
        return all(window.mapped for window in self._windows)

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped if they are in one window."""
        number = bisect_right(self._starts, start) - 1
        if start + count <= self._starts[min(number + 1, len(self._windows))]:
            number = min(number, len(self._windows) - 1)
            return self._windows[number].view(start - self._starts[number], count)
        return memoryview(bytearray(self.read(start, count)))

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        pieces, end = [], start + count
        for window, at in zip(self._windows, self._starts, strict=False):
            first, last = max(start - at, 0), min(end - at, window.size)
            if first < last:
                pieces.append(window.read(first, last - first))
        return b"".join(pieces)

    def close(self) -> None:
        """Close every window."""
        for window in self._windows:
            window.close()

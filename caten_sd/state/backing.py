"""Where bytes lie: a mapped file, one opened anew for each touch, memory, parts joined."""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from caten_sd.errors import FormatError


class Backing(Protocol):
    """Bytes by absolute position; the caller has checked the bounds."""

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped where possible; writing to them never reaches the file."""

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes, touching no map."""

    @property
    def mapped(self) -> bool:
        """Whether the bytes lie in memory or in a map, so that reading them cannot fail."""

    def close(self) -> None:
        """Give back the handle; views that are still held stay valid."""


class Window(Protocol):
    """A run of bytes by its own offsets, as a Source is one."""

    size: int

    def view(self, offset: int, count: int) -> memoryview:
        """Return the bytes, mapped where possible."""

    def read(self, offset: int, count: int) -> bytes:
        """Return a copy of the bytes."""

    @property
    def mapped(self) -> bool:
        """Whether reading them cannot fail."""

    def close(self) -> None:
        """Give back the handle."""


class FileBacking:
    """A regular file, mapped privately on first touch, or read plainly where mapping is refused.

    ``streaming`` maps each view by itself, so that what was read is given back with the view. A
    handle that is given instead of a path is closed with the backing.
    """

    def __init__(self, file: Path | int, *, streaming: bool = False) -> None:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        self._handle = file if isinstance(file, int) else os.open(file, flags)
        # Whoever drops a state dict without closing it closes the handle too, with no warning.
        self._close = weakref.finalize(self, os.close, self._handle)
        self.size = os.fstat(self._handle).st_size
        self._map: mmap.mmap | None = None
        self._mapped = not streaming and self.size > 0
        self._streaming = streaming

    def _mapping(self) -> mmap.mmap | None:
        if self._map is None and self._mapped:
            self._map = self._mapped_at(0, self.size)
            self._mapped = self._map is not None
        return self._map

    def _mapped_at(self, start: int, count: int) -> mmap.mmap | None:
        # A private map is writable, so torch and numpy take it without a copy or a warning, and
        # what they write stays in this process.
        for access in (mmap.ACCESS_COPY, mmap.ACCESS_READ):
            try:
                return mmap.mmap(self._live(), count, access=access, offset=start)
            except (OSError, ValueError):  # the file system or the commit limit refuses
                continue
        return None

    @property
    def mapped(self) -> bool:
        """Whether the system mapped the whole file."""
        return self._mapping() is not None

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped where possible."""
        first = start // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if self._streaming and count:
            mapping = self._mapped_at(first, start + count - first)
        else:
            mapping, first = self._mapping(), 0
        if mapping is None:
            return memoryview(bytearray(self.read(start, count)))
        return memoryview(mapping)[start - first : start - first + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        if hasattr(os, "pread"):
            return _whole(lambda n, at: os.pread(self._live(), n, at), start, count)
        os.lseek(self._live(), start, os.SEEK_SET)
        return _whole(lambda n, at: os.read(self._live(), n), start, count)

    def _live(self) -> int:
        """Return the handle; ValueError once it is closed, for its number may be another file's."""
        if not self._close.alive:
            raise ValueError("the file was closed")
        return self._handle

    def close(self) -> None:
        """Close the file, and the map unless arrays still lie in it."""
        self._close()
        self._mapped = False
        if self._map is not None:
            with contextlib.suppress(BufferError):  # the last array that lies in it closes it
                self._map.close()
            self._map = None


class ReopenedBacking:
    """A file that is opened anew for each touch: a folder of thousands then holds no handles."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self.size, self._closed = path, size, False

    @property
    def mapped(self) -> bool:
        """No: the next touch opens the file again, and that can fail."""
        return False

    def _open(self) -> FileBacking:
        if self._closed:
            raise ValueError("read of a closed file")
        backing = FileBacking(self._path)
        if backing.size != self.size:
            backing.close()
            raise FormatError(
                self._path, f"its size has changed from {self.size} since it was opened"
            )
        return backing

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped where possible."""
        backing = self._open()
        try:
            return backing.view(start, count)
        finally:
            backing.close()

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        backing = self._open()
        try:
            return backing.read(start, count)
        finally:
            backing.close()

    def close(self) -> None:
        """Let no further touch open the file."""
        self._closed = True


class BytesBacking:
    """Bytes that are in memory already, inflated or built."""

    mapped = True

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes themselves."""
        return self._data[start : start + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        return bytes(self._data[start : start + count])

    def close(self) -> None:
        """Do nothing: views may still be held."""


class JoinedBacking:
    """Windows of files one behind the other, as if they were one."""

    def __init__(self, parts: Sequence[Window]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(part.size for part in parts)]

    @property
    def mapped(self) -> bool:
        """Whether every part is mapped or in memory."""
        return all(part.mapped for part in self._parts)

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped where they lie in one part."""
        number = bisect_right(self._starts, start) - 1
        if start + count <= self._starts[min(number + 1, len(self._parts))]:
            part = min(number, len(self._parts) - 1)
            return self._parts[part].view(start - self._starts[part], count)
        return memoryview(bytearray(self.read(start, count)))

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        pieces, end = [], start + count
        for part, at in zip(self._parts, self._starts, strict=False):
            first, last = max(start - at, 0), min(end - at, part.size)
            if first < last:
                pieces.append(part.read(first, last - first))
        return b"".join(pieces)

    def close(self) -> None:
        """Close the parts."""
        for part in self._parts:
            part.close()


def _whole(read: object, start: int, count: int) -> bytes:
    """Read until ``count`` bytes are there: a single call may return fewer (2 GiB on Linux)."""
    assert callable(read)
    parts, got = [], 0
    while got < count and (part := read(min(count - got, 1 << 30), start + got)):
        parts.append(part)
        got += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

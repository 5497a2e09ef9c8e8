"""Byte stores by offset: mapped file, file reopened for each access, memory."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import weakref
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from caten_sd.errors import FormatError
from caten_sd.state.copied_bytes import are_bytes_copied, with_bytes_copied
from caten_sd.state.file_reads import fill, fill_together, read_fully

_SEEKING = threading.Lock()  # where a read has no place of its own, but the handle has one


class Backing(Protocol):
    """Bytes by absolute offset; the caller has checked the bounds."""

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped if possible; writing to them does not change the file."""

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes, without using a map."""

    @property
    def mapped(self) -> bool:
        """Whether the bytes are mapped or in memory, so that reading them cannot fail."""

    def close(self) -> None:
        """Release the file handle; existing views stay valid."""


class FileIdentity(NamedTuple):
    """What tells one file from another, and from itself after a change."""

    device: int
    number: int
    size: int
    changed: int


def identity_of(handle: int) -> FileIdentity:
    """Return the identity of an open file."""
    status = os.fstat(handle)
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class FileBacking:
    """A regular file, mapped privately on first use, or read if the system refuses to map it.

    ``streaming`` maps each view separately, so that its memory is released with the view. A file
    handle passed instead of a path is closed with the backing. Each access first compares the
    file's size and time of change with those at opening. A view is not watched after that: who
    writes into the file changes it, and who truncates the file ends a process that touches it.
    """

    def __init__(self, file: Path | int, *, streaming: bool = False) -> None:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        self._path = None if isinstance(file, int) else Path(os.path.abspath(file))
        self._handle = file if isinstance(file, int) else os.open(file, flags)
        # The handle of a state dict that is dropped without being closed is closed too, silently.
        self._close = weakref.finalize(self, os.close, self._handle)
        self.identity = identity_of(self._handle)
        self.size = self.identity.size
        self._map: mmap.mmap | None = None
        self._mapped = not streaming and self.size > 0
        self._streaming = streaming

    def _mapping(self) -> mmap.mmap | None:
        if self._map is None and self._mapped:
            self._map = self._mapped_at(0, self.size)
            self._mapped = self._map is not None
        return self._map

    def _mapped_at(self, start: int, count: int) -> mmap.mmap | None:
        # A private map is writable, so torch and numpy accept it without a copy or a warning, and
        # their writes stay in this process.
        for access in (mmap.ACCESS_COPY, mmap.ACCESS_READ):
            try:
                return mmap.mmap(self._live(), count, access=access, offset=start)
            except (OSError, ValueError):  # refused by the file system or by the memory limit
                continue
        return None

    @property
    def mapped(self) -> bool:
        """Whether the system mapped the whole file, and its bytes are not to be copied."""
        return not are_bytes_copied() and self._mapping() is not None

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped if possible."""
        if are_bytes_copied():
            return self._copy(start, count)
        self.check()
        first = start // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if self._streaming and count:
            mapping = self._mapped_at(first, start + count - first)
        else:
            mapping, first = self._mapping(), 0
        if mapping is None:
            return self._copy(start, count)
        return memoryview(mapping)[start - first : start - first + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        if hasattr(os, "pread"):
            data = read_fully(lambda n, at: os.pread(self._live(), n, at), start, count)
        else:
            with _SEEKING:
                os.lseek(self._live(), start, os.SEEK_SET)
                data = read_fully(lambda n, at: os.read(self._live(), n), start, count)
        self.check()
        return data

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes; ValueError if the file has changed."""
        if hasattr(os, "preadv"):
            fill_together(self._live(), start, buffer)
            self.check()
        else:
            self.fill(start, buffer)

    def fill(self, start: int, buffer: memoryview) -> None:
        """Fill a buffer as far as the file goes, by one thread."""
        if hasattr(os, "preadv"):
            fill(self._live(), start, buffer)
        else:
            data = self.read(start, len(buffer))
            buffer[: len(data)] = data

    def read_rows(self, start: int, step: int, buffer: memoryview, size: int) -> None:
        """Fill a buffer with rows of ``size`` bytes that begin ``step`` bytes apart."""
        if not hasattr(os, "preadv"):
            for at in range(0, len(buffer), size):
                self.read_into(start + at // size * step, buffer[at : at + size])
            return
        handle = self._live()
        for at in range(0, len(buffer), size):
            fill(handle, start + at // size * step, buffer[at : at + size])
        self.check()  # once, as each takes longer than to read a row

    def _copy(self, start: int, count: int) -> memoryview:
        import numpy as np

        buffer = np.empty(count, np.uint8).data  # a bytearray would be zeroed first
        self.read_into(start, buffer)
        return buffer

    def check(self, expected: FileIdentity | None = None) -> None:
        """Raise ValueError if the file is not as it was at opening, or not the expected one."""
        expected, now = expected or self.identity, identity_of(self._live())
        if now == expected:
            return
        if now.size != expected.size:
            raise ValueError(f"the file changed from {expected.size} to {now.size} bytes")
        raise ValueError("the file changed: it was replaced or written to")

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None:  # a temporary file without a name cannot be opened again
            return BytesBacking, (self.read(0, self.size),)
        try:
            self.check()
        except (OSError, ValueError) as error:
            raise FormatError(
                self._path, f"it cannot be copied ({error})", "open it again"
            ) from error
        return _unpickled, (self._path, self.identity, self._streaming)

    def _live(self) -> int:
        """Return the handle; ValueError if it is closed, since another file may have the number."""
        if not self._close.alive:
            raise ValueError("the file was closed")
        return self._handle

    def close(self) -> None:
        """Close the file, and the map unless arrays still use it."""
        self._close()
        self._mapped = False
        if self._map is not None:
            with contextlib.suppress(BufferError):  # the last array that uses it closes it
                self._map.close()
            self._map = None


class ReopenedBacking:
    """A file that is reopened for each access, so that thousands of files need no handles.

    A map keeps a handle while an array uses it, so ``copying`` reads instead of mapping.
    """

    def __init__(self, path: Path, identity: FileIdentity, *, copying: bool = False) -> None:
        self._path, self._identity, self._closed = path, identity, False
        self._copying = copying
        self.size = identity.size

    @property
    def mapped(self) -> bool:
        """Always False: the next access opens the file again, which can fail."""
        return False

    def _open(self) -> FileBacking:
        if self._closed:
            raise ValueError("the file was closed")
        return reopened(self._path, self._identity)

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped if possible."""
        backing = self._open()
        try:
            if self._copying:
                return with_bytes_copied(backing.view, start, count)
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

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes; ValueError if the file has changed."""
        backing = self._open()
        try:
            backing.read_into(start, buffer)
        finally:
            backing.close()

    def close(self) -> None:
        """Refuse every further access."""
        self._closed = True


def reopened(path: Path, identity: FileIdentity, streaming: bool = False) -> FileBacking:
    """Open a file again, as in another process; ValueError if it is not the same file."""
    backing = FileBacking(path, streaming=streaming)
    try:
        backing.check(identity)
    except ValueError:
        backing.close()
        raise
    return backing


def _unpickled(path: Path, identity: FileIdentity, streaming: bool) -> FileBacking:
    try:
        return reopened(path, identity, streaming)
    except (OSError, ValueError) as error:
        raise FormatError(path, f"it cannot be read ({error})", "open it again") from error


class BytesBacking:
    """Bytes in memory."""

    mapped = True

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")

    def __reduce__(self) -> tuple[Any, ...]:
        return BytesBacking, (bytes(self._data),)

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes themselves."""
        return self._data[start : start + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        return bytes(self._data[start : start + count])

    def close(self) -> None:
        """Do nothing, since views may still be in use."""

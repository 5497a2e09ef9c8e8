"""Where a file's bytes come from: a mapped file, a window of one, or bytes inflated in memory.

No access goes past what the file holds, whatever a header claims: every length is compared with the
bytes that are left before it is used.
"""

from __future__ import annotations

import mmap
import os
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


class FileBacking:
    """A regular file, mapped privately on first touch, or read plainly where mapping is refused."""

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        self._map: mmap.mmap | None = None
        self._mapped = mapped and self.size > 0

    def _mapping(self) -> mmap.mmap | None:
        if self._map is None and self._mapped:
            # A private map is writable, so torch and numpy take it without a copy or a warning,
            # and what they write stays in this process.
            for access in (mmap.ACCESS_COPY, mmap.ACCESS_READ):
                try:
                    self._map = mmap.mmap(self._file.fileno(), self.size, access=access)
                    break
                except (OSError, ValueError):  # the file system or the commit limit refuses
                    continue
            self._mapped = self._map is not None
        return self._map

    @property
    def mapped(self) -> bool:
        """Whether the system mapped the file."""
        return self._mapping() is not None

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, mapped where possible."""
        mapping = self._mapping()
        if mapping is None:
            return memoryview(bytearray(self.read(start, count)))
        return memoryview(mapping)[start : start + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        if hasattr(os, "pread"):
            return _whole(lambda n, at: os.pread(self._file.fileno(), n, at), start, count)
        self._file.seek(start)
        return _whole(lambda n, at: self._file.read(n) or b"", start, count)

    def close(self) -> None:
        """Close the file, and the map unless arrays still lie in it."""
        self._file.close()
        self._mapped = False
        if self._map is not None:
            try:
                self._map.close()
            except BufferError:
                pass  # the last array that lies in the map closes it
            self._map = None


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


class Source:
    """A window of ``size`` bytes on a backing; ``name`` is what an error calls it.

    >>> source = Source("four bytes", BytesBacking(b"abcd"), 0, 4)
    >>> source.read(1, 2)
    b'bc'
    """

    __slots__ = ("_backing", "_start", "name", "size")

    def __init__(self, name: str, backing: Backing, start: int, size: int) -> None:
        self.name, self._backing, self._start, self.size = name, backing, start, size

    def _check(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            short = offset + count - self.size
            raise FormatError(
                self.name,
                f"it is {short} bytes short: bytes {offset} to {offset + count} are wanted "
                f"and it has {self.size}",
                "it is truncated or damaged, so get it again",
            )

    def view(self, offset: int, count: int) -> memoryview:
        """Return ``count`` bytes from ``offset``, mapped where possible; FormatError beyond the end."""
        self._check(offset, count)
        return self._backing.view(self._start + offset, count)

    def read(self, offset: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes from ``offset``; FormatError beyond the end."""
        self._check(offset, count)
        data = self._backing.read(self._start + offset, count)
        if len(data) < count:
            raise FormatError(
                self.name, f"it shrank while it was read, at byte {offset + len(data)}"
            )
        return data

    @property
    def mapped(self) -> bool:
        """Whether the bytes lie in memory or in a map, so that reading them cannot fail."""
        return self._backing.mapped

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all where there are fewer."""
        return self.read(0, min(count, self.size))

    def window(self, offset: int, count: int, name: str | None = None) -> Source:
        """Return a source over a part of this one."""
        self._check(offset, count)
        return Source(name or self.name, self._backing, self._start + offset, count)

    def close(self) -> None:
        """Give back the handle; arrays that were read stay valid, a new read fails."""
        self._backing.close()

    def __str__(self) -> str:
        return self.name


class Folder:
    """A folder that is a checkpoint; ``member`` never leads out of it."""

    __slots__ = ("name", "path")

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)

    def names(self) -> list[str]:
        """Return the names directly inside, sorted."""
        return sorted(entry.name for entry in self.path.iterdir())

    def member(self, name: str) -> Source:
        """Open a file below the folder; FormatError for a path that leads out of it.

        Links are followed only where they are the folder's own entries, as in a download cache.
        """
        relative = Path(name)
        outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name
        if outside or not relative.parts:
            raise FormatError(
                self.name, f"it names {name!r}, which is no plain path inside it", "do not use it"
            )
        return open_file(self.path / relative)

    def close(self) -> None:
        """Do nothing: members hold their own handles."""

    def __str__(self) -> str:
        return self.name


def open_file(path: Path, *, mapped: bool = True) -> Source:
    """Open a regular file; FormatError if it is absent, unreadable or no regular file."""
    try:
        if not path.is_file():
            what = "it is no regular file" if path.exists() else "there is no such file"
            raise FormatError(path, what, "check the path")
        backing = FileBacking(path, mapped=mapped)
    except (OSError, ValueError) as error:
        raise FormatError(path, f"it cannot be opened ({error})", "check the path") from error
    return Source(str(path), backing, 0, backing.size)


def _whole(read: object, start: int, count: int) -> bytes:
    """Read until ``count`` bytes are there: a single call may return fewer (2 GiB on Linux)."""
    assert callable(read)
    parts, got = [], 0
    while got < count and (part := read(min(count - got, 1 << 30), start + got)):
        parts.append(part)
        got += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

"""Sources: a file's bytes, or a window of them, with a name for errors; and folders of them.

No access goes past the end of the file, whatever a header claims: every length is compared with the
remaining bytes before it is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caten_sd.errors import FormatError
from caten_sd.state.backing import Backing, FileBacking, ReopenedBacking
from caten_sd.state.unopened import remedy_for_missing, unopened
from caten_sd.wording import counted

if TYPE_CHECKING:
    from typing_extensions import Self


_MOST_HANDLES = 64  # each takes a second one for its map, and a process may have only 256


class Source:
    """A window of ``size`` bytes of a backing; ``name`` is its name in errors.

    >>> from caten_sd.state.backing import BytesBacking
    >>> source = Source("four bytes", BytesBacking(b"abcd"), 0, 4)
    >>> source.read(1, 2)
    b'bc'
    """

    __slots__ = ("_adopted", "_backing", "_start", "inner", "name", "parsed", "size")

    def __init__(self, name: str, backing: Backing, start: int, size: int) -> None:
        self.name, self._backing, self._start, self.size = name, backing, start, size
        self._adopted: tuple[Source, ...] = ()
        self.inner = ""  # the requested member of an archive
        self.parsed: object = None  # what a recognizer parsed, for the reader that follows it

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self._backing, self._start, self.size)

    def _require_within(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            short = offset + count - self.size
            problem = (
                f"it is {counted(short, 'byte')} short"
                if short > 0
                else "an offset is before its beginning"
            )
            raise FormatError(
                self.name,
                f"{problem}: bytes {offset} to {offset + count} are needed and it has {self.size}",
                "it is truncated or damaged, so get it again",
            )

    def view(self, offset: int, count: int) -> memoryview:
        """Return ``count`` bytes from ``offset``, mapped if possible; FormatError past the end."""
        self._require_within(offset, count)
        try:
            return self._backing.view(self._start + offset, count)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def read(self, offset: int, count: int) -> bytes:
        """Return a copy of ``count`` bytes from ``offset``; FormatError past the end."""
        self._require_within(offset, count)
        try:
            data = self._backing.read(self._start + offset, count)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if len(data) < count:
            raise FormatError(
                self.name, f"it shrank while it was read, at byte {offset + len(data)}"
            )
        return data

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes from ``offset``; FormatError past the end."""
        self._require_within(offset, len(buffer))
        fill = getattr(self._backing, "read_into", None)
        try:
            if fill is None:
                buffer[:] = self._backing.read(self._start + offset, len(buffer))
            else:
                fill(self._start + offset, buffer)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def filler(self, offset: int, count: int) -> Callable[[int, memoryview], None]:
        """Return what fills buffers from a place in these bytes, one after the other.

        It leaves it to ``check``, after the last one, to see whether the file has changed.
        """
        self._require_within(offset, count)
        read = getattr(self._backing, "fill", None)
        if read is None:
            return lambda at, buffer: self.read_into(offset + at, buffer)
        start = self._start + offset

        def fill(at: int, buffer: memoryview) -> None:
            try:
                read(start + at, buffer)
            except (OSError, ValueError) as error:
                raise self._unreadable(error) from error

        return fill

    def check(self) -> None:
        """Raise FormatError if the file is no longer as it was when it was opened."""
        check = getattr(self._backing, "check", None)
        try:
            if check is not None:
                check()
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def read_rows(self, offset: int, step: int, buffer: memoryview, size: int) -> None:
        """Fill a buffer with rows of ``size`` bytes that begin ``step`` bytes apart."""
        count = len(buffer) // size
        self._require_within(offset, (count - 1) * step + size)
        fill = getattr(self._backing, "read_rows", None)
        try:
            if fill is not None:
                fill(self._start + offset, step, buffer, size)
                return
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        for number in range(count):
            at = number * size
            self.read_into(offset + number * step, buffer[at : at + size])

    @property
    def mapped(self) -> bool:
        """Whether the bytes are mapped or in memory, so that reading them cannot fail."""
        return self._backing.mapped

    @property
    def is_random_access(self) -> bool:
        """Whether any part is read without those before it, and by several threads at a time."""
        return hasattr(self._backing, "read_into")

    def _unreadable(self, error: Exception) -> FormatError:
        return FormatError(self.name, f"it cannot be read ({error})", "open it again")

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all if there are fewer."""
        return self.read(0, min(count, self.size))

    @property
    def start(self) -> int:
        """The position of the first byte in what holds the bytes."""
        return self._start

    def window(self, offset: int, count: int, name: str | None = None) -> Source:
        """Return a source for a range of this one."""
        self._require_within(offset, count)
        return Source(name or self.name, self._backing, self._start + offset, count)

    @classmethod
    def of(cls, source: Source, name: str) -> Self:
        """Return the same bytes under another name, as a source of this class."""
        return cls(name, source._backing, source._start, source.size)

    def close(self) -> None:
        """Release the file handle; arrays already read stay valid, new reads fail."""
        self._backing.close()
        for source in self._adopted:
            source.close()

    def adopt(self, source: Source) -> None:
        """Close another source with this one."""
        self._adopted += (source,)

    def __str__(self) -> str:
        return self.name


class Folder:
    """A folder that is a checkpoint; ``member`` opens only files below it.

    ``index`` is the file by which the folder was opened, if any.
    """

    kind = "folder"

    def __init__(self, path: Path, index: str = "", *, streaming: bool = False) -> None:
        self.path, self.index, self.streaming = Path(os.path.abspath(path)), index, streaming
        self.name = str(path / index)
        self._opened: dict[str, Source] = {}
        self._closed = False

    def names(self) -> list[str]:
        """Return the names of the folder's own files, sorted."""
        try:
            return sorted(entry.name for entry in self.path.iterdir() if not entry.is_dir())
        except OSError as error:
            raise unopened(self.path, error) from error

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name is below the folder."""
        path = self.path / self._relative(name)
        with contextlib.suppress(OSError):  # for example, a name too long for the file system
            return path.is_file()
        return False

    def size(self, name: str) -> int:
        """Return a member's size in bytes, or 0 if it does not exist."""
        return (self.path / name).stat().st_size if self.has(name) else 0

    def member(self, name: str, *, held: bool = True) -> Source:
        """Open a file below the folder; FormatError for a path outside it.

        A link is followed only if it is an entry of the folder itself, as in a download cache.
        ``held=False`` keeps no file handle. Beyond the first 64 members none is kept, and
        their bytes are read instead of mapped, so that thousands of files need few handles.
        """
        if name not in self._opened:
            if self._closed:
                raise FormatError(self.name, "the folder was closed", "open it again")
            many = len(self._opened) >= _MOST_HANDLES
            self._opened[name] = open_file(
                self.path / self._relative(name),
                streaming=self.streaming,
                held=held and not many,
                copying=many,
            )
        return self._opened[name]

    def _relative(self, name: str) -> Path:
        relative = Path(name)
        outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name
        if outside or not relative.parts:
            raise FormatError(
                self.name, f"it names {name!r}, which is not a path below it", "do not use it"
            )
        for parent in relative.parents:
            if (self.path / parent).is_symlink() and parent.parts:
                raise FormatError(self.name, f"{str(parent)!r} in it is a link", "do not use it")
        return relative

    def close(self) -> None:
        """Close every open member and refuse all others; arrays already read stay valid."""
        self._closed = True
        for source in self._opened.values():
            source.close()

    def __str__(self) -> str:
        return self.name


def open_file(
    path: Path, *, streaming: bool = False, held: bool = True, copying: bool = False
) -> Source:
    """Open a regular file; FormatError if it is missing, unreadable or not a regular file."""
    try:
        if not path.is_file():
            if path.exists():
                raise FormatError(path, "it is not a regular file", "check the path")
            if path.is_symlink():
                raise FormatError(
                    path, "it is a link to a missing file", "get the file it points to"
                )
            what = "there is no such file or folder"
            raise FormatError(path, what, remedy_for_missing(path))
        file = FileBacking(path, streaming=streaming)
        backing: FileBacking | ReopenedBacking = file
        if not held:
            file.close()
            absolute = Path(os.path.abspath(path))
            backing = ReopenedBacking(absolute, file.identity, copying=copying)
    except (OSError, ValueError) as error:
        raise unopened(path, error) from error
    return Source(str(path), backing, 0, backing.size)

"""Read a GGUF header: every count and length is compared with the bytes left before its use."""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source
from caten_sd.wording import counted

WINDOW = 1 << 18  # bytes of the first read; the header of a model with a vocabulary has 10 MB


class HeaderBytes:
    """A position in a header of unknown length; ``order`` is "<" or ">", as in struct."""

    def __init__(self, source: Source, order: str, at: int) -> None:
        self.source, self.at = source, at
        self._memory, self._counted = HeaderMemory(source.name, at), at
        self._u32, self._u64 = struct.Struct(f"{order}I"), struct.Struct(f"{order}Q")
        self.view = self._first(WINDOW)

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error that names the file and what is wrong with it."""
        raise FormatError(
            self.source.name, problem, "it is damaged or not a GGUF file, so get it again"
        )

    @property
    def left(self) -> int:
        """The number of bytes from here to the end of the file."""
        return self.source.size - self.at

    def take(self, count: int, what: str) -> memoryview:
        """Return the next ``count`` bytes; an error calls them ``what``."""
        start, end = self.at, self.at + count
        if end > len(self.view):
            self._widen(end, what)
        self.at = end
        return self.view[start:end]

    def _widen(self, end: int, what: str) -> None:
        if end > self.source.size:
            self.refuse(
                f"{what} takes {counted(end - self.at, 'byte')}, but {self.left:,} are left"
            )
        size = len(self.view)
        while size < end:
            size *= 2
        self.view = self._first(size)

    def _first(self, count: int) -> memoryview:
        """Return the first bytes of the file, copied: a map of a truncated file ends a process."""
        return with_bytes_copied(self.source.view, 0, min(count, self.source.size))

    def remember(self, count: int) -> None:
        """Count bytes of memory that what has been read takes; FormatError if it is too much."""
        self._memory.add(self.at - self._counted)
        self._counted = self.at
        self._memory.take(count)

    def u32(self, what: str) -> int:
        """Return the next 32-bit number."""
        number: int = self._u32.unpack(self.take(4, what))[0]
        return number

    def u64(self, what: str) -> int:
        """Return the next 64-bit number."""
        number: int = self._u64.unpack(self.take(8, what))[0]
        return number

    def unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        """Return the next numbers in the layout of a struct."""
        return layout.unpack(self.take(layout.size, what))

    def count(self, least: int, what: str) -> int:
        """Return the next 64-bit count, of items that take at least ``least`` bytes each."""
        count = self.u64(what)
        if count > self.left // least:
            self.refuse(
                f"{what} claims {count}, but {counted(self.left, 'byte is', 'bytes are')} left"
            )
        return count

    def text(self, what: str) -> str:
        """Return the next string; FormatError unless it is UTF-8."""
        raw = self.take(self.count(1, f"the length of {what}"), what)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            self.refuse(f"{what} is not UTF-8 text")

    def strings(self, count: int, what: str) -> memoryview:
        """Return the bytes of the next ``count`` strings, each length checked."""
        start, unpack = self.at, self._u64.unpack_from
        while count:
            at, view, last, done = self.at, self.view, len(self.view) - 8, 0
            for done in range(count):  # noqa: B007 - the number of strings passed is the result
                if at > last:
                    break
                at += 8 + unpack(view, at)[0]
            else:
                done = count
            count, self.at = count - done, at
            if self.left < 0:
                self.refuse(
                    f"{what} has a string that ends {counted(-self.left, 'byte')} past the file"
                )
            self.take(8 if count else 0, what)
            self.at = at
        return self.view[start : self.at]

"""The bytes of a pickle, read in windows, so that a long one is neither mapped nor held.

A byte string of SHARED bytes or more is passed over: it becomes a Source, whose bytes stay where
they are. Who touches a map of a file that was truncated in the meantime ends the process.
"""

from __future__ import annotations

from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source
from caten_sd.wording import counted

SHARED = 1 << 16  # bytes; a byte string of this size stays in its file, as a Source

_FIRST, _LARGEST = 1 << 16, 1 << 20  # bytes of the first window, and of those that follow
_OPERAND = 16  # bytes; no operand of a fixed size takes more


class ShortWindowError(Exception):
    """An opcode needs so many bytes of the window, and the pickle has them."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class PickleInput:
    """A window of a pickle's bytes; ``base`` is the position of its first byte in the source.

    An opcode that begins in ``ahead`` has all of its operand in ``data``, if that is of fixed size.
    """

    __slots__ = ("ahead", "base", "data", "end", "memory", "source")

    def __init__(self, source: Source, start: int, memory: HeaderMemory | None) -> None:
        self.source, self.memory = source, memory or HeaderMemory(source.name, 0)
        self._read(start, _FIRST)

    def _read(self, base: int, size: int) -> None:
        size = min(size, self.source.size - base)
        self.base, self.data, self.end = base, self.source.read(base, size), size
        self.ahead = self.data if self._is_last else self.data[: size - _OPERAND]
        self.memory.add(size)

    @property
    def _is_last(self) -> bool:
        return self.base + self.end >= self.source.size

    def advance(self, at: int, error: Exception) -> bool:
        """Move the window to the opcode at which it ended; return whether it did end there."""
        needed = error.count - at if isinstance(error, ShortWindowError) else 0
        if (at < len(self.ahead) and not needed) or self.base + at >= self.source.size:
            return False
        # A window behind a byte string that was passed over is small again: another may follow.
        size = _FIRST if at > self.end else min(2 * max(self.end, _FIRST), _LARGEST)
        self._read(self.base + at, max(size, needed + _OPERAND))
        return True

    def check_left(self, at: int, count: int) -> None:
        """Raise ValueError if the pickle has fewer bytes than should follow."""
        left = self.source.size - self.base - at
        if not 0 <= count <= left:
            raise ValueError(f"{counted(count, 'byte')} should follow, and {left:,} do")

    def line(self, at: int) -> bytes:
        """Return the bytes up to the next newline."""
        found = self.data.find(b"\n", at)
        if found >= 0:
            return self.data[at:found]
        if self._is_last:
            raise ValueError("a line does not end")
        raise ShortWindowError(at + 4 * self.end)

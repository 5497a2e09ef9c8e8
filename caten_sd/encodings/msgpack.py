"""msgpack: a bounded reader that skips over binary data, and the headers a writer needs.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md. The msgpack package copies all
binary data, and allocates as many items as an array's header claims.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, NoReturn

from caten_sd.encodings.msgpack_runs import NUMBERS, PLAIN, Runs
from caten_sd.errors import FormatError
from caten_sd.state.header_memory import CONTAINER, TEXT, HeaderMemory
from caten_sd.state.source import Source

MAX_DEPTH = 100
MAX_TEXT = 1 << 26  # bytes of one text
_AHEAD = 1 << 12  # bytes read at once: headers are small, and binary data is skipped
_MANY = 8  # values of an array, below which each is read by itself

# First byte -> the kind of the value, and how many bytes its length takes.
_SIZED = {
    **{0xC4 + n: ("bin", 1 << n) for n in range(3)},
    **{0xC7 + n: ("ext", 1 << n) for n in range(3)},
    **{0xD9 + n: ("str", 1 << n) for n in range(3)},
    **{0xDC + n: ("array", 2 << n) for n in range(2)},
    **{0xDE + n: ("map", 2 << n) for n in range(2)},
}


class Payload(NamedTuple):
    """Where binary data is in the source; ``code`` is that of an extension type, or None."""

    code: int | None
    offset: int
    size: int


class Cursor:
    """A position in a msgpack source; ``value`` reads one value and moves past it."""

    def __init__(
        self,
        source: Source,
        at: int = 0,
        end: int | None = None,
        memory: HeaderMemory | None = None,
    ) -> None:
        self.source, self.at = source, at
        self.end = source.size if end is None else end
        self._memory = memory or HeaderMemory(source.name, self.end - at)
        self._buffer, self._buffer_at = b"", 0
        self._runs: Runs | None = None

    def value(self, depth: int = 0) -> Any:
        """Read a plain value, a list, a dict with text keys or a Payload; FormatError otherwise."""
        kind, size = self.header()
        if kind in ("map", "array"):
            if depth >= MAX_DEPTH:
                problem = f"its maps and arrays nest more than {MAX_DEPTH} deep"
                raise FormatError(self.source.name, problem, "write its arrays in fewer maps")
            self._memory.take(CONTAINER)
            return self._map(size, depth) if kind == "map" else self._array(size, depth)
        if kind == "str":
            return self._text(size)
        if kind == "number":
            return self._number(size)
        if kind == "plain":
            return size
        code = struct.unpack(">b", self.take(1))[0] if kind == "ext" else None
        self._check(size)
        self._memory.take(CONTAINER)
        self.at += size
        return Payload(code, self.at - size, size)

    def header(self) -> tuple[str, Any]:
        """Read the kind of the next value, and its length or the value itself."""
        first = self.take(1)[0]
        if first < 0x80 or first >= 0xE0:
            return "plain", first if first < 0x80 else first - 0x100
        if first < 0xC0:
            kind = ("map", "array", "str", "str")[(first >> 4) - 8]
            return kind, first & (0x1F if kind == "str" else 0x0F)
        if first in _SIZED:
            kind, width = _SIZED[first]
            return kind, int.from_bytes(self.take(width), "big")
        if first in NUMBERS:
            return "number", first
        if 0xD4 <= first <= 0xD8:
            return "ext", 1 << (first - 0xD4)
        if first not in PLAIN:
            self.refuse(f"byte {self.at - 1} is {first:#x}, which msgpack never uses")
        return "plain", PLAIN[first]

    def _map(self, size: int, depth: int) -> dict[str, Any]:
        self._check(2 * size)
        self._memory.take_entries(size, size)
        found: dict[str, Any] = {}
        for _ in range(size):
            key = self.key()
            if key in found:
                self.refuse(f"the key {key!r} is given twice")
            found[key] = self.value(depth + 1)
        return found

    def _array(self, size: int, depth: int) -> list[Any]:
        self._check(size)
        found: list[Any] = []
        singles = _MANY
        while (left := size - len(found)) > 0:
            run = self._run(left) if left >= _MANY else []
            found += run
            # A run that finds few takes more time than these values, so it is tried less often.
            singles = 1 if len(run) >= _MANY else min(2 * singles, 8 * _MANY)
            for _ in range(min(singles, size - len(found))):
                found.append(self.value(depth + 1))
        return found

    def _run(self, most: int) -> list[Any]:
        """Read a run of small values, which may be empty."""
        if self._runs is None:
            self._runs = Runs(self._memory)
        start = self._fill(1)
        try:
            found, end = self._runs.read(self._buffer, start, most)
        except UnicodeDecodeError:
            self.refuse(f"a text after byte {self.at} is not UTF-8")
        self.at += end - start
        return found

    def _number(self, first: int) -> Any:
        self._memory.take(TEXT)
        layout = NUMBERS[first]
        return layout.unpack(self.take(layout.size))[0]

    def key(self) -> str:
        """Read a map's key as text; Flax writes whole numbers for the indices of a list."""
        kind, value = self.header()
        if kind == "str":
            return self._text(value)
        if kind == "number":
            value = self._number(value)
        if kind not in ("number", "plain") or type(value) is not int:
            self.refuse(f"a key before byte {self.at} is neither text nor a whole number")
        return str(value)

    def _text(self, size: int) -> str:
        if size > MAX_TEXT:
            self.refuse(f"a text at byte {self.at} has {size} bytes, over the limit of {MAX_TEXT}")
        try:
            self._memory.take(TEXT)
            return self.take(size).decode()
        except UnicodeDecodeError:
            self.refuse(f"a text before byte {self.at} is not UTF-8")

    def take(self, count: int) -> bytes:
        """Read the next ``count`` bytes."""
        start = self._fill(count)
        self.at += count
        return self._buffer[start : start + count]

    def _fill(self, count: int) -> int:
        """Have the next ``count`` bytes in the buffer; return where in it they begin."""
        self._check(count)
        start = self.at - self._buffer_at
        if start < 0 or start + count > len(self._buffer):
            ahead = min(max(count, _AHEAD), self.end - self.at)
            self._buffer, self._buffer_at, start = self.source.read(self.at, ahead), self.at, 0
        return start

    def _check(self, count: int) -> None:
        if count > self.end - self.at:
            self.refuse(f"{count} bytes should follow byte {self.at}, and {self.end - self.at} do")

    def refuse(self, problem: str) -> NoReturn:
        """Raise a FormatError with this problem."""
        raise FormatError(
            self.source.name, problem, "it is damaged or not a msgpack file, so get it again"
        )


def pack_text(text: str) -> bytes:
    """Return the bytes of a text, header and all.

    >>> pack_text("w")
    b'\\xa1w'
    """
    data = text.encode()
    if len(data) < 32:
        return bytes([0xA0 | len(data)]) + data
    return _sized(0xD9, len(data), 1) + data


def pack_size(kind: str, size: int) -> bytes:
    """Return the header of a "map", an "array" or "bin" data of that size."""
    if kind == "bin":
        return _sized(0xC4, size, 1)
    short, first = (0x80, 0xDE) if kind == "map" else (0x90, 0xDC)
    return bytes([short | size]) if size < 16 else _sized(first, size, 2)


def pack_ext(code: int, size: int) -> bytes:
    """Return the header of an extension type's data."""
    if size in (1, 2, 4, 8, 16):
        return bytes([0xD3 + size.bit_length(), code])
    return _sized(0xC7, size, 1) + bytes([code])


def pack_count(number: int) -> bytes:
    """Return the bytes of a number that is not negative."""
    return bytes([number]) if number < 0x80 else _sized(0xCC, number, 1)


def _sized(first: int, number: int, narrowest: int) -> bytes:
    width = next(w for w in (1, 2, 4, 8) if w >= narrowest and number < 1 << 8 * w)
    step = (width // narrowest).bit_length() - 1
    return bytes([first + step]) + number.to_bytes(width, "big")

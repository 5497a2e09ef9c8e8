"""Runs of small msgpack values, of which an array may hold millions.

A call for each would take a microsecond, ten times what a byte of a header may take. So a run of
them is read at once, from the bytes that are in memory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from caten_sd.state.header_memory import ENTRY, NUMBER, TEXT, HeaderMemory

NUMBERS = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    **{0xCC + n: struct.Struct(f">{code}") for n, code in enumerate("BHIQ")},
    **{0xD0 + n: struct.Struct(f">{code}") for n, code in enumerate("bhiq")},
}
PLAIN = {0xC0: None, 0xC2: False, 0xC3: True}

_WIDE = {first: struct.Struct(f">x{known.format[1:]}") for first, known in NUMBERS.items()}
# Values of up to three bytes, and then whatever follows them.
_SHORT = re.compile(
    rb"[\x00-\x80\x90\xa0\xc0\xc2\xc3\xe0-\xff]|[\xa1\xcc\xd0].|[\xa2\xcd\xd1]..|.+", re.DOTALL
)
_BYTES = re.compile(rb"[\x00-\x80\x90\xa0\xc0\xc2\xc3\xe0-\xff]*")
_LENGTHS = {
    first: n for n, firsts in ((2, b"\xa1\xcc\xd0"), (3, b"\xa2\xcd\xd1")) for first in firsts
}
# The empty map and array are one object each: nobody writes into what was read.
_ONE_BYTE: dict[bytes, Any] = {
    **{bytes([n]): n if n < 0x80 else n - 0x100 for n in (*range(0x80), *range(0xE0, 0x100))},
    **{bytes([first]): value for first, value in PLAIN.items()},
    b"\x80": {},
    b"\x90": [],
    b"\xa0": "",
}

# Numbers of any width, texts of under 32 bytes and values of one byte, and then whatever follows.
_ANY = re.compile(
    b"|".join(
        [
            rb"[\x00-\x80\x90\xa0\xc0\xc2\xc3\xe0-\xff]",
            rb"[\xca\xce\xd2].{4}|[\xcb\xcf\xd3].{8}|[\xcc\xd0].|[\xcd\xd1]..",
            *(b"[\\x%x].{%d}" % (0xA0 + size, size) for size in range(1, 32)),
            b".+",
        ]
    ),
    re.DOTALL,
)
_FEW = 4  # values, of which a run is too short for its time

_OF_FIRST = {token[0]: value for token, value in _ONE_BYTE.items()}


def _number_maker(layout: struct.Struct) -> Callable[[bytes], Any]:
    return lambda token: layout.unpack_from(token, 1)[0]


_MAKERS: dict[int, Callable[[bytes], Any]] = {
    **{first: _ONE_BYTE.__getitem__ for (first,) in _ONE_BYTE},
    **{first: _number_maker(layout) for first, layout in NUMBERS.items()},
    **{first: lambda token: str(token[1:], "utf-8") for first in range(0xA1, 0xC0)},
}

Run = tuple[list[Any], int]  # the values, and the position after them


class _ShortValues(dict[bytes, Any]):
    """The values of tokens of up to three bytes, each of them made once."""

    def __init__(self, memory: HeaderMemory) -> None:
        super().__init__(_ONE_BYTE)
        self._memory = memory

    def __missing__(self, token: bytes) -> Any:
        self._memory.take(TEXT + ENTRY)
        known = NUMBERS.get(token[0])
        value = str(token[1:], "utf-8") if known is None else known.unpack_from(token, 1)[0]
        self[token] = value
        return value


class Runs:
    """Reads runs of values of one kind; ``memory`` counts what they take."""

    def __init__(self, memory: HeaderMemory) -> None:
        self._memory, self._short_values = memory, _ShortValues(memory)
        self._kinds: tuple[Callable[[bytes, int, int], Run], ...] = (
            _bytes,
            self._short,
            self._numbers,
            self._texts,
        )

    def read(self, data: bytes, at: int, most: int) -> Run:
        """Return at most so many values that begin at a position in the data, maybe none.

        UnicodeDecodeError if a text is not UTF-8.
        """
        found: list[Any] = []
        for kind in self._kinds:
            if len(found) == most:
                return found, at
            values, at = kind(data, at, most - len(found))
            found += values
        if len(found) < min(most, _FEW):
            values, at = self._mixed(data, at, most - len(found))
            found += values
        return found, at

    def _short(self, data: bytes, at: int, most: int) -> Run:
        tokens = _SHORT.findall(data, at, at + 3 * most)[:most]
        if tokens and tokens[-1] not in _ONE_BYTE:
            last = tokens[-1]
            if len(last) != _LENGTHS.get(last[0]):
                tokens.pop()
        values = [*map(self._short_values.__getitem__, tokens)]
        return values, at + sum(map(len, tokens))

    def _numbers(self, data: bytes, at: int, most: int) -> Run:
        """Read numbers of the type of the first."""
        layout = _WIDE.get(data[at]) if at < len(data) else None
        if layout is None:
            return [], at
        size = layout.size
        firsts = data[at : at + min(most, (len(data) - at) // size) * size : size]
        count = len(firsts) - len(firsts.lstrip(firsts[:1]))
        self._memory.take(2 * TEXT + NUMBER * count)  # a run of one takes two microseconds
        end = at + count * size
        return [value for (value,) in layout.iter_unpack(data[at:end])], end

    def _texts(self, data: bytes, at: int, most: int) -> Run:
        """Read texts of under 32 bytes."""
        found: list[str] = []
        while len(found) < most and at < len(data) and 0xA0 <= data[at] < 0xC0:
            start, end = at + 1, at + 1 + (data[at] & 0x1F)
            if end > len(data):
                break
            found.append(str(data[start:end], "utf-8"))
            at = end
        self._memory.take(TEXT * len(found))
        return found, at

    def _mixed(self, data: bytes, at: int, most: int) -> Run:
        """Read numbers, short texts and values of one byte, which may alternate."""
        tokens = _ANY.findall(data, at)[:most]
        if tokens and not _is_whole(tokens[-1]):
            tokens.pop()
        self._memory.take(TEXT * len(tokens))
        return [_MAKERS[token[0]](token) for token in tokens], at + sum(map(len, tokens))


def _is_whole(token: bytes) -> bool:
    """Return whether a token is one value, and not what follows the last."""
    first = token[0]
    if first in NUMBERS:
        return len(token) == 1 + NUMBERS[first].size
    return len(token) == 1 + (first & 0x1F) if 0xA0 < first < 0xC0 else token in _ONE_BYTE


def _bytes(data: bytes, at: int, most: int) -> Run:
    """Read values of one byte each."""
    run = _BYTES.match(data, at, at + most)
    assert run is not None
    return [*map(_OF_FIRST.__getitem__, run[0])], run.end()

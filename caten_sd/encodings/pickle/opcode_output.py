"""Pickles made by hand, opcode by opcode: protocol 2, whose names need not be importable here."""

from __future__ import annotations

import struct
from collections.abc import Iterable

NONE, FALSE, POP, STOP = b"N", b"\x89", b"0", b"."
START = b"\x80\x02"


class Memo:
    """What a pickle has said once, and fetches by number from then on; at most 256 of them.

    The parts go into the pickle in the order in which they were asked for.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def name(self, module: str, name: str) -> bytes:
        """Return a class or function, by the module that has it."""
        return self._once(f"c{module}\n{name}\n".encode())

    def text(self, given: str) -> bytes:
        """Return a text that comes again."""
        return self._once(text(given))

    def _once(self, said: bytes) -> bytes:
        number = self._numbers.get(said)
        if number is not None:
            return b"h" + bytes([number])
        number = self._numbers[said] = len(self._numbers)
        return said + b"q" + bytes([number])


def text(given: str) -> bytes:
    """Return a text.

    >>> import pickle
    >>> pickle.loads(START + text("é") + STOP)
    'é'
    """
    data = given.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(n: int) -> bytes:
    """Return a number that is not negative."""
    if n < 1 << 8:
        return b"K" + bytes([n])
    if n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    data = n.to_bytes(n.bit_length() // 8 + 1, "little")
    return b"\x8a" + bytes([len(data)]) + data


def sequence(parts: Iterable[bytes]) -> bytes:
    """Return a tuple of values."""
    joined = b"".join(parts)
    return b"(" + joined + b"t" if joined else b")"


def sizes(given: Iterable[int]) -> bytes:
    """Return a tuple of numbers."""
    return sequence(map(integer, given))


def mapping(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a dict of keys and values."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def called(function: bytes, *arguments: bytes) -> bytes:
    """Return what calling a name gives."""
    return function + sequence(arguments) + b"R"


def instance(kind: bytes, state: bytes) -> bytes:
    """Return an object of a class, made without its initialiser, with a state."""
    return kind + b")\x81" + state + b"b"

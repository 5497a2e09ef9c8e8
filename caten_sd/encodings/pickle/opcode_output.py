"""Write pickles opcode by opcode, in protocol 2; the classes they name need not exist here."""

from __future__ import annotations

import struct
from collections.abc import Iterable

NONE, FALSE, POP, STOP = b"N", b"\x89", b"0", b"."
START = b"\x80\x02"


class Memo:
    """Names and texts that a pickle writes once and then fetches by number; at most 256.

    Its results must go into the pickle in the order in which they were returned.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def name(self, module: str, name: str) -> bytes:
        """Return the opcodes of a class or function."""
        return self._once(f"c{module}\n{name}\n".encode())

    def text(self, given: str) -> bytes:
        """Return the opcodes of a text that is used again."""
        return self._once(text(given))

    def _once(self, opcodes: bytes) -> bytes:
        number = self._numbers.get(opcodes)
        if number is not None:
            return b"h" + bytes([number])
        number = self._numbers[opcodes] = len(self._numbers)
        return opcodes + b"q" + bytes([number])


def text(given: str) -> bytes:
    """Return the opcodes of a text.

    >>> import pickle
    >>> pickle.loads(START + text("é") + STOP)
    'é'
    """
    data = given.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(n: int) -> bytes:
    """Return the opcodes of a number that is not negative."""
    if n < 1 << 8:
        return b"K" + bytes([n])
    if n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    data = n.to_bytes(n.bit_length() // 8 + 1, "little")
    return b"\x8a" + bytes([len(data)]) + data


def sequence(values: Iterable[bytes]) -> bytes:
    """Return the opcodes of a tuple of values."""
    joined = b"".join(values)
    return b"(" + joined + b"t" if joined else b")"


def sizes(given: Iterable[int]) -> bytes:
    """Return the opcodes of a tuple of numbers."""
    return sequence(map(integer, given))


def mapping(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the opcodes of a dict."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def called(function: bytes, *arguments: bytes) -> bytes:
    """Return the opcodes of a call."""
    return function + sequence(arguments) + b"R"


def instance(kind: bytes, state: bytes) -> bytes:
    """Return the opcodes of an object with a state, made without its initializer."""
    return kind + b")\x81" + state + b"b"

"""The opcodes of a pickle that push a constant, a number or a string, as in Python's pickletools.

Each takes the machine and the position of its operand, and returns the next position. A length is
compared with the bytes that are left before it is used.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caten_sd.encodings.pickle.input import SHARED, ShortWindowError
from caten_sd.state.header_memory import CONTAINER, NUMBER, TEXT

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine

Opcode = Callable[["Machine", int], int]

MAX_DIGITS = 4300  # Python's own limit: converting takes quadratic time

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {code[:1]: code[1:] for code in (b"n\n", b"t\t", b"r\r", b"a\a", b"b\b", b"f\f", b"v\v")}


def _constant(value: Any) -> Opcode:
    def push(m: Machine, at: int) -> int:
        m.stack.append(value)
        return at

    return push


def _container(make: Callable[[], Any]) -> Opcode:
    def push(m: Machine, at: int) -> int:
        m.memory.take(CONTAINER)
        m.stack.append(make())
        return at

    return push


def _number(code: str) -> Opcode:
    packed = struct.Struct(code)
    unpack_from, size = packed.unpack_from, packed.size

    def push(m: Machine, at: int) -> int:
        m.memory.take(NUMBER)
        m.stack.append(unpack_from(m.data, at)[0])
        return at + size

    return push


def _byte(m: Machine, at: int) -> int:
    m.stack.append(m.data[at])
    return at + 1


def _digits(m: Machine, at: int) -> int:
    line = m.line(at)
    if len(line) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(line)} digits")
    m.memory.take(NUMBER)
    m.stack.append(int(line.rstrip(b"L"), 0))
    return at + len(line) + 1


def _digits_or_truth(m: Machine, at: int) -> int:
    """Read INT, which protocol 0 also uses for booleans: 00 and 01."""
    if m.line(at) not in (b"00", b"01"):
        return _digits(m, at)
    m.stack.append(m.data[at + 1] == ord("1"))
    return at + 3


def _decimal(m: Machine, at: int) -> int:
    line = m.line(at)
    m.memory.take(NUMBER)
    m.stack.append(float(line))
    return at + len(line) + 1


def _sized(code: str, make: Callable[[bytes], Any], *, is_shared: bool = False) -> Opcode:
    """Return an opcode whose operand is a size, packed as ``code``, and that many bytes."""
    packed = struct.Struct(code)
    unpack_from, size = packed.unpack_from, packed.size

    def push(m: Machine, at: int) -> int:
        start = at + size
        count: int = unpack_from(m.data, at)[0]
        end = start + count
        if is_shared and count >= SHARED:
            m.check_left(start, count)
            m.stack.append(m.source.window(m.base + start, count))
            return end
        if not start <= end <= m.end:
            m.check_left(start, count)
            raise ShortWindowError(1 + end)
        m.memory.take(TEXT)
        m.stack.append(make(m.data[start:end]))
        return end

    return push


def _text(data: bytes) -> str:
    return str(data, "utf-8", "surrogatepass")


def _text_or_bytes(data: bytes) -> str | bytes:
    """Return a string of Python 2 as text if it is UTF-8, as bytes otherwise."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return bytes(data)


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _quoted(m: Machine, at: int) -> int:
    line = m.line(at)
    text = line.strip()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in b"\"'":
        raise ValueError("a string is not in quotes")
    m.memory.take(TEXT)
    m.stack.append(_text_or_bytes(_ESCAPE.sub(_unescaped, text[1:-1])))
    return at + len(line) + 1


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] == b"x" and len(code) == 3:
        return bytes([int(code[1:], 16)])
    if code[0] in b"01234567":
        return bytes([int(code, 8) & 255])
    return _ESCAPED.get(code, code if code in b"\\'\"" else b"\\" + code)


def _unicode(m: Machine, at: int) -> int:
    line = m.line(at)
    m.memory.take(TEXT)
    m.stack.append(str(line, "raw-unicode-escape"))
    return at + len(line) + 1


SCALARS: dict[bytes, Opcode] = {
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"K": _byte,
    b"M": _number("<H"),
    b"J": _number("<i"),
    b"G": _number(">d"),
    b"\x8a": _sized("<B", _integer),
    b"\x8b": _sized("<i", _integer),
    b"I": _digits_or_truth,
    b"L": _digits,
    b"F": _decimal,
    b"\x8c": _sized("<B", _text),
    b"X": _sized("<I", _text),
    b"\x8d": _sized("<Q", _text),
    b"V": _unicode,
    b"U": _sized("<B", _text_or_bytes),
    b"T": _sized("<i", _text_or_bytes),
    b"S": _quoted,
    b"C": _sized("<B", bytes),
    b"B": _sized("<I", bytes, is_shared=True),
    b"\x8e": _sized("<Q", bytes, is_shared=True),
    b"\x96": _sized("<Q", bytearray, is_shared=True),
    b")": _constant(()),
    b"]": _container(list),
    b"}": _container(dict),
    b"\x8f": _container(set),
}

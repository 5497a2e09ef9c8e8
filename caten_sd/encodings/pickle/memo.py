"""The opcodes of a pickle that put a value into the memo, or take one from it.

As in Python's pickletools. Each takes the machine and a position, and returns the next position.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from caten_sd.encodings.pickle.inert_values import Reference

if TYPE_CHECKING:
    from caten_sd.encodings.pickle.machine import Machine
    from caten_sd.encodings.pickle.scalars import Opcode

_NAMES = {Reference, str}
_UINT32 = struct.Struct("<I")


def _put1(m: Machine, at: int) -> int:
    _put(m, m.data[at])
    return at + 1


def _put4(m: Machine, at: int) -> int:
    _put(m, _UINT32.unpack_from(m.data, at)[0])
    return at + 4


def _put(m: Machine, index: int) -> None:
    if index == len(m.memo) and not m.sparse_memo:
        m.memo.append(m.stack[-1])  # as ``remember`` does it, in half of the time
    else:
        m.remember(index)


def _put_next(m: Machine, at: int) -> int:
    m.remember_next()
    return at


def _put_line(m: Machine, at: int) -> int:
    line = m.line(at)
    m.remember(_index(line))
    return at + len(line) + 1


def _get1(m: Machine, at: int) -> int:
    _get(m, m.data[at])
    return at + 1


def _get4(m: Machine, at: int) -> int:
    _get(m, _UINT32.unpack_from(m.data, at)[0])
    return at + 4


def _get(m: Machine, index: int) -> None:
    memo = m.memo
    if index < len(memo) and type(value := memo[index]) in _NAMES:
        m.stack.append(value)  # as ``recall`` does it, in half of the time
    else:
        m.recall(index)


def _get_line(m: Machine, at: int) -> int:
    line = m.line(at)
    m.recall(_index(line))
    return at + len(line) + 1


def _index(line: bytes) -> int:
    if not line.isdigit() or len(line) > 20:
        raise ValueError("an index of the memo is not a number")
    return int(line)


MEMO: dict[bytes, Opcode] = {
    b"q": _put1,
    b"r": _put4,
    b"\x94": _put_next,
    b"p": _put_line,
    b"h": _get1,
    b"j": _get4,
    b"g": _get_line,
}

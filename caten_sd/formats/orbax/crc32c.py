"""CRC-32C, which zlib lacks: short texts a byte at a time, long ones in many lanes at once."""

from __future__ import annotations

import functools
from typing import Any

_POLYNOMIAL = 0x82F63B78
_ALL = 0xFFFFFFFF
_LANES = 4096
_LONG = 1 << 16  # bytes from which lanes are faster


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32C of the bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if len(data) < _LONG:
        return _continued(_ALL, data) ^ _ALL
    size = len(data) // _LANES
    whole = size * _LANES
    crc = _joined(_lanes(data[:whole], size), size)
    return _continued(crc, data[whole:]) ^ _ALL


def _continued(crc: int, data: bytes | bytearray | memoryview) -> int:
    table = _table()
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


@functools.cache
def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


def _lanes(data: bytes | bytearray | memoryview, size: int) -> list[int]:
    """Return the state after each lane of ``size`` bytes, of which only the first begins as all."""
    import numpy as np

    table = np.array(_table(), np.uint32)
    columns = np.frombuffer(data, np.uint8).reshape(_LANES, size).T
    state = np.zeros(_LANES, np.uint32)
    state[0] = _ALL
    for column in columns:
        state = table[(state ^ column) & 255] ^ state >> 8
    found: list[int] = state.tolist()
    return found


def _joined(states: list[int], size: int) -> int:
    """Return the state after all lanes: that of a lane is moved past those that follow it."""
    moved = _moves(size)
    crc = 0
    for state in states:
        crc = (
            moved[0][crc & 255]
            ^ moved[1][crc >> 8 & 255]
            ^ moved[2][crc >> 16 & 255]
            ^ moved[3][crc >> 24]
            ^ state
        )
    return crc


def _moves(size: int) -> list[list[int]]:
    """Return what each value of each byte of a state becomes after ``size`` zero bytes."""
    bits = _power(size)
    return [[_times(bits, value << 8 * place) for value in range(256)] for place in range(4)]


def _power(size: int) -> list[int]:
    """Return what each bit of a state becomes after ``size`` zero bytes, by repeated squaring."""
    result = [1 << bit for bit in range(32)]
    square: Any = [_continued(1 << bit, b"\0") for bit in range(32)]
    while size:
        if size & 1:
            result = [_times(square, bit) for bit in result]
        square = [_times(square, bit) for bit in square]
        size >>= 1
    return result


def _times(bits: list[int], state: int) -> int:
    found = 0
    while state:
        lowest = state & -state
        found ^= bits[lowest.bit_length() - 1]
        state ^= lowest
    return found

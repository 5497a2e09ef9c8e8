"""The keys of an OCDBT node: each says how much of the one before it begins with."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import overload

from caten_sd.formats.orbax.varint_columns import Columns
from caten_sd.state.header_memory import HeaderMemory

_MOST_ENTRIES = 1 << 20  # of a node, as in tensorstore
_LONGEST = 65535  # bytes of a key, as in tensorstore
_SOME = 16
_KEY = 80  # bytes that a key takes, besides its own, with the columns that it is made of


class KeyTable(Sequence[bytes]):
    """Keys in order, in one piece of memory: an object for each would take three times as much."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("Q")
        self._some: list[bytes] = []  # every few, so that a search begins near its end

    def append(self, key: bytes) -> None:
        """Add a key, which is after all others."""
        if len(self._ends) % _SOME == 0:
            self._some.append(key)
        self._text += key
        self._ends.append(len(self._text))

    def position(self, key: bytes) -> int:
        """Return the position of the first key that is not before this one."""
        stop = _SOME * bisect_left(self._some, key)
        return bisect_left(self, key, max(stop - _SOME, 0), min(stop, len(self)))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        start = self._ends[at - 1] if at else 0
        return bytes(self._text[start : self._ends[at]])


def read_keys(
    columns: Columns, prefix: bytes, memory: HeaderMemory, *, interior: bool
) -> tuple[KeyTable, list[int]]:
    """Return the keys of a node with what they begin with, and how much of each its child lacks."""
    count = columns.varint()
    if not 0 < count <= _MOST_ENTRIES:
        columns.refuse(f"it has {count:,} entries")
    memory.take(_KEY * count)
    shared = [0, *columns.varints(count - 1).tolist()]
    own = columns.varints(count).tolist()
    commons = columns.varints(count).tolist() if interior else []
    keys, key = KeyTable(), b""
    for at, (start, size) in enumerate(zip(shared, own, strict=True)):
        if start > len(key) or start + size > _LONGEST:
            columns.refuse(f"its key {at} has a length that cannot be")
        before, key = key, key[:start] + columns.take(size)
        if at and before >= key:
            columns.refuse(f"its keys are out of order at {at}")
        memory.take(len(prefix) + len(key))
        keys.append(prefix + key)
        if interior and commons[at] > len(key):
            columns.refuse(f"its key {at} is shorter than what its child lacks")
    return keys, commons

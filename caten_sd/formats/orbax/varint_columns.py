"""Read what an OCDBT node holds: columns of varints, bytes and numbers, one after another."""

from __future__ import annotations

from typing import Any, NoReturn

from caten_sd.errors import FormatError

_LONGEST = 10  # bytes of a varint of 64 bits
_PIECE = 1 << 16  # numbers that are read at a time


class Columns:
    """A cursor over the body of a node; FormatError past its end.

    >>> columns = Columns("a node", bytes([1, 0x80, 1, 7]))
    >>> columns.varint(), columns.varints(1).tolist(), columns.byte()
    (1, [128], 7)
    """

    def __init__(self, name: str, body: bytes) -> None:
        self.name, self.body, self.at = name, body, 0

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error that says what is wrong with the node."""
        raise FormatError(self.name, problem, "it is damaged, so get it again")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > len(self.body) - self.at:
            self.refuse(f"it ends at byte {len(self.body)}, in a column that goes on")
        self.at += count
        return self.body[self.at - count : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """Return the next varint."""
        value = 0
        for place in range(_LONGEST):
            byte = self.byte()
            value |= (byte & 127) << 7 * place
            if byte < 128 and value < 1 << 64:
                return value
        return self.refuse(f"a number at byte {self.at} takes over 64 bits")

    def varints(self, count: int) -> Any:
        """Return the next varints, as a numpy.ndarray of uint64."""
        import numpy as np

        if count > len(self.body) - self.at:
            self.refuse(f"it ends at byte {len(self.body)}, before {count:,} numbers of a column")
        found = np.empty(count, np.uint64)
        for start in range(0, count, _PIECE):
            piece = found[start : start + _PIECE]
            piece[:] = self._piece(len(piece))
        return found

    def _piece(self, count: int) -> Any:
        import numpy as np

        data = np.frombuffer(self.body[self.at : self.at + _LONGEST * count], np.uint8)
        ends = np.flatnonzero(data < 128)[:count]
        if len(ends) < count:
            self.refuse(f"it ends at byte {len(self.body)}, or a number in it is too long")
        starts = np.concatenate(([0], ends[:-1] + 1))
        lengths = ends - starts + 1
        if int(lengths.max()) > _LONGEST:
            self.refuse(f"a number at byte {self.at} takes over {_LONGEST} bytes")
        self.at += int(ends[-1]) + 1
        return _values(data, starts, lengths)

    def end(self) -> None:
        """Refuse a body that goes on."""
        if self.at != len(self.body):
            self.refuse(f"{len(self.body) - self.at} bytes follow its last column")


def _values(data: Any, starts: Any, lengths: Any) -> Any:
    import numpy as np

    values = np.zeros(len(starts), np.uint64)
    for place in range(int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        part = (data[starts[longer] + place] & 127).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * place)
    return values

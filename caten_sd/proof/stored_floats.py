"""The elements of two leaves in files as floats, read block by block into the same memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from caten_sd.proof.paired_halves import PairedHalves
from caten_sd.proof.wider_blocks import WiderBlocks, room_for
from caten_sd.state.compare import wide_enough
from caten_sd.state.dtype import DType, numpy_dtype
from caten_sd.state.lazy_tensor import LazyTensor

Floats = Callable[[], tuple[Any, Any]]


class Into(NamedTuple):
    """The bytes of an array that is read into, and how many an element has."""

    size: int
    data: memoryview

    @classmethod
    def of(cls, array: Any) -> Into:
        """Return those of an array that lies in one piece."""
        import numpy as np

        return cls(array.itemsize, array.view(np.uint8).data)


class FloatRooms:
    """Memory for blocks of leaves of two dtypes, and what makes floats of what was read into it.

    ``wide`` is the dtype of the floats, which may be one that is no float. Halves are as
    PairedHalves has them; an absolute value of ``below`` or more may stand for one that is not
    finite.
    """

    def __init__(self, dtypes: Sequence[DType], most: int) -> None:
        import numpy as np

        self._dtypes = [numpy_dtype(dtype) for dtype in dtypes]
        self._most = most
        self.wide = np.dtype(wide_enough(*self._dtypes))
        self._are_paired = _are_paired(self._dtypes)
        self._rooms = [room_for(most, dtype) for dtype in self._dtypes]
        if self._are_paired:
            self._rooms = [room_for(2 * (most + most % 2), self.wide)]
        self._wider = [WiderBlocks(dtype, self.wide) for dtype in self._dtypes]
        self.below = math.inf
        self._count = -1
        self._ready: tuple[list[Into], Floats]

    @staticmethod
    def bytes_of(dtypes: Sequence[DType]) -> int:
        """Return how many bytes an element of both takes: as it is read, and as a float."""
        import numpy as np

        narrow = [numpy_dtype(dtype) for dtype in dtypes]
        wide = np.dtype(wide_enough(*narrow))
        if _are_paired(narrow) or narrow == [wide, wide]:  # which become floats in place
            narrow = []
        return sum(int(each.itemsize) for each in (*narrow, wide, wide))

    @functools.cached_property
    def gaps(self) -> Any:
        """Memory for the differences of a block, for who needs the floats as well."""
        return room_for(self._most, self.wide)

    def ready(self, count: int) -> tuple[list[Into], Floats]:
        """Return where so many elements of each are read to, and what makes floats of them."""
        if count != self._count:
            self._ready = self._prepared(count)
            self._count = count
        return self._ready

    def _prepared(self, count: int) -> tuple[list[Into], Floats]:
        if self._are_paired:
            pairs = PairedHalves(self._rooms[0], count, self._dtypes[0])
            self.below = pairs.below
            return list(map(Into.of, pairs.halves)), pairs.floats
        arrays = [room[:count] for room in self._rooms]
        one, other = self._wider
        return list(map(Into.of, arrays)), lambda: (one.of(arrays[0]), other.of(arrays[1]))

    def apart(self, count: int) -> list[Any]:
        """Return new arrays of so many elements."""
        import numpy as np

        return [np.empty(count, dtype) for dtype in self._dtypes]


def _are_paired(dtypes: Sequence[Any]) -> bool:
    return bool(dtypes[0] == dtypes[1]) and PairedHalves.can_hold(dtypes[0])


class StoredFloats:
    """Blocks of the same elements of two leaves, as floats that the caller may overwrite.

    ``check`` looks at the files, after all blocks.
    """

    def __init__(self, a: LazyTensor, b: LazyTensor, rooms: FloatRooms) -> None:
        self._sources = a.source, b.source
        self._fill = [leaf.source.filler(leaf.offset, leaf.extent) for leaf in (a, b)]
        self._rooms = rooms

    def of(self, start: int, count: int) -> tuple[Any, Any]:
        """Return a block of floats, of which each has a zero more where that makes pairs."""
        parts, floats = self._rooms.ready(count)
        self._read(start, parts)
        return floats()

    def values(self, start: int, count: int) -> list[Any]:
        """Return a block of the elements of both as they are, in memory of its own."""
        arrays = self._rooms.apart(count)
        self._read(start, list(map(Into.of, arrays)))
        return arrays

    def _read(self, start: int, parts: Sequence[Into]) -> None:
        for fill, (size, data) in zip(self._fill, parts, strict=True):
            fill(start * size, data)

    def check(self) -> None:
        """Raise FormatError if a file is no longer as it was when it was opened."""
        for source in self._sources:
            source.check()

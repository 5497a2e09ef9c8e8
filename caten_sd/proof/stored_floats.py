"""The elements of two leaves in files as floats, read block by block into the same memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from caten_sd.proof.paired_halves import PairedHalves
from caten_sd.proof.wider_blocks import WiderBlocks, room_for
from caten_sd.state.compare import wide_enough
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.lazy_tensor import LazyTensor

Fill = Callable[[int, memoryview], None]


class StoredFloats:
    """Blocks of the same elements of two leaves, as floats that the caller may overwrite.

    ``wide`` is their dtype, which may be one that is no float. Halves are as PairedHalves has
    them, which also says what ``below`` is. ``check`` looks at the files, after all blocks.
    """

    def __init__(self, a: LazyTensor, b: LazyTensor) -> None:
        import numpy as np

        self._sources = a.source, b.source
        self._fill = [leaf.source.filler(leaf.offset, leaf.extent) for leaf in (a, b)]
        self._dtypes = [numpy_dtype(leaf.dtype) for leaf in (a, b)]
        self.wide = np.dtype(wide_enough(*self._dtypes))
        self.below = math.inf
        self._count = -1
        self._reads: list[tuple[Fill, int, memoryview]] = []
        self._floats: Callable[[], tuple[Any, Any]]

    def of(self, start: int, count: int) -> tuple[Any, Any]:
        """Return a block of floats, of which each has a zero more where that makes pairs."""
        if count != self._count:
            self._prepare(count)
        for fill, size, buffer in self._reads:
            fill(start * size, buffer)
        return self._floats()

    def _prepare(self, count: int) -> None:
        """Make memory for so many elements of both, and what makes floats of them."""
        self._count = count
        if self._dtypes[0] == self._dtypes[1] and PairedHalves.can_hold(self._dtypes[0]):
            pairs = PairedHalves(count, self._dtypes[0])
            self._floats, self.below = pairs.floats, pairs.below
            self._reads = self._into(pairs.halves)
            return
        rooms = [room_for(count, dtype) for dtype in self._dtypes]
        one, other = (WiderBlocks(dtype, self.wide) for dtype in self._dtypes)
        self._floats = lambda: (one.of(rooms[0]), other.of(rooms[1]))
        self._reads = self._into(rooms)

    def _into(self, rooms: Sequence[Any]) -> list[tuple[Fill, int, memoryview]]:
        """Return what reads into the memory for both, the bytes of an element, the memory."""
        import numpy as np

        return [
            (fill, room.itemsize, room.view(np.uint8).data)
            for fill, room in zip(self._fill, rooms, strict=True)
        ]

    def values(self, start: int, count: int) -> list[Any]:
        """Return a block of the elements of both as they are, in memory of its own."""
        import numpy as np

        made = [np.empty(count, dtype) for dtype in self._dtypes]
        for fill, size, buffer in self._into(made):
            fill(start * size, buffer)
        return made

    def check(self) -> None:
        """Raise FormatError if a file is no longer as it was when it was opened."""
        for source in self._sources:
            source.check()

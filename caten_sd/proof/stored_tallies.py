"""The sums over pairs of leaves in files, block by block, by two threads where they are large."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from caten_sd.proof.diff_rounding import Rounding
from caten_sd.proof.diff_tally import Tally, tallied
from caten_sd.proof.stored_floats import FloatRooms, StoredFloats
from caten_sd.state.compare import flat_blocks
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.scratch import keep_scratch

# Bytes: all arrays of a block of both sides stay in a cache of a processor. Two threads wait
# for Python's lock between short steps, so they have longer ones, and leave small leaves to one.
_BLOCK, _LONG_BLOCK = 1 << 19, 1 << 21
_LARGE = 1 << 19  # elements
_SHARED = 1 << 22  # elements of large leaves that are worth a second thread


class StoredPair(NamedTuple):
    """Two leaves of one shape in files, and the rounding that their values may have between them.

    ``can_be`` tells whether a file has the elements of a leaf as they are, one after another.
    """

    a: LazyTensor
    b: LazyTensor
    rounding: Rounding | None = None

    @staticmethod
    def can_be(*leaves: Any) -> bool:
        """Return whether files have the numbers of all one after another, in whole bytes."""
        return all(
            isinstance(leaf, LazyTensor)
            and leaf.is_canonical
            and leaf.dtype.itemsize > 0
            and leaf.dtype.name in DTYPES
            for leaf in leaves
        )

    @property
    def elements(self) -> int:
        """The elements of each."""
        return math.prod(self.a.shape)

    @property
    def can_be_shared(self) -> bool:
        """Whether two threads may read both."""
        return self.a.source.is_random_access and self.b.source.is_random_access


def stored_tallies(pairs: Sequence[StoredPair], *, quick: bool = False) -> list[Tally]:
    """Return the sums over all elements of each pair."""
    keep_scratch()
    large = {n for n, each in enumerate(pairs) if each.elements >= _LARGE and each.can_be_shared}
    if sum(pairs[n].elements for n in large) < _SHARED:
        large.clear()
    small = [n for n in range(len(pairs)) if n not in large]
    found = [_Work(pairs, small, _BLOCK, quick).sums()]
    if large:
        found += _by_two(_Work(pairs, sorted(large), _LONG_BLOCK, quick))
    tallies = [Tally(pair.rounding, quick=quick) for pair in pairs]
    for sums in found:
        for n, tally in sums.items():
            tallies[n].plus(tally)
    return tallies


_Block = tuple[int, int, int]  # the number of its pair, its first element, and how many it has


@functools.cache
def _count_of(dtypes: tuple[DType, DType], most: int) -> int:
    """Return how many elements a block has, of which all arrays take at most so many bytes."""
    count: int = most // FloatRooms.bytes_of(dtypes)
    return 1 << count.bit_length() - 1


class _Work:
    """Blocks of pairs of leaves, of which each thread takes the next one."""

    def __init__(
        self, pairs: Sequence[StoredPair], numbers: Sequence[int], most: int, quick: bool
    ) -> None:
        self._pairs, self._most, self._quick = pairs, most, quick
        self._left = deque(block for n in numbers for block in self._blocks(n))

    def _blocks(self, n: int) -> Iterator[_Block]:
        """Yield the blocks of a pair."""
        pair = self._pairs[n]
        total, count = pair.elements, _count_of((pair.a.dtype, pair.b.dtype), self._most)
        for start in range(0, total, count):
            yield n, start, min(count, total - start)

    def sums(self) -> dict[int, Tally]:
        """Return the sums over the blocks that this thread took, by the number of the pair."""
        import numpy as np

        sums: dict[int, Tally] = {}
        rooms: dict[tuple[DType, DType], FloatRooms] = {}
        with np.errstate(all="ignore"), self.ended_by_errors():
            for n, blocks in itertools.groupby(self._taken(), lambda block: block[0]):
                dtypes = self._pairs[n].a.dtype, self._pairs[n].b.dtype
                if dtypes not in rooms:
                    rooms[dtypes] = FloatRooms(dtypes, _count_of(dtypes, self._most))
                sums[n] = self._sum(self._pairs[n], rooms[dtypes], blocks)
        return sums

    @contextlib.contextmanager
    def ended_by_errors(self) -> Iterator[None]:
        """Leave no block to any thread once there is an error in one."""
        try:
            yield
        except BaseException:
            self._left.clear()
            raise

    def _taken(self) -> Iterator[_Block]:
        """Yield what no other thread has taken."""
        with contextlib.suppress(IndexError):
            while True:
                yield self._left.popleft()

    def _sum(self, pair: StoredPair, rooms: FloatRooms, blocks: Iterator[_Block]) -> Tally:
        """Return the sums over some blocks of a pair."""
        tally = Tally(pair.rounding, quick=self._quick)
        both = StoredFloats(pair.a, pair.b, rooms)
        for _, start, count in blocks:
            if not _add(tally, both, rooms, start, count):
                shorter = flat_blocks(*both.values(start, count))
                # A tally keeps memory for what it adds, and this one stays until the end.
                tally.plus(tallied(shorter, pair.rounding, quick=self._quick))
        both.check()
        return tally


def _by_two(work: _Work) -> list[dict[int, Tally]]:
    from concurrent.futures import ThreadPoolExecutor  # which small leaves do without

    with ThreadPoolExecutor(1) as other, work.ended_by_errors():
        second = other.submit(work.sums)
        return [work.sums(), second.result()]


def _add(tally: Tally, both: StoredFloats, rooms: FloatRooms, start: int, count: int) -> bool:
    """Add a block as floats that are not kept; return whether that was possible."""
    if rooms.wide.char not in "fd":
        return False
    a, b = both.of(start, count)
    gaps = b if tally.rounding is None else rooms.gaps[: b.size]
    is_added = tally.add_floats(a, b, gaps, below=rooms.below)
    tally.elements += count * is_added
    return is_added

"""A tensor found within another as a strided view of it: the same values in another order.

A transpose, heads that change places, rows that alternate and a slice are all views with an offset
and, for each level of the order, a count and a stride. The view is found from the values alone:
where the first elements lie gives the inner stride, where it breaks off gives the next one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

_MOST_TRIES = 400  # strides that are looked at for one level, and views in all
_MOST_COUNTS = 3  # of one level: a run is longer than it should be where values repeat
_MOST_PAIRS = 1 << 22  # of first and second elements, where many are equal


class Level(NamedTuple):
    """How many steps there are of one stride."""

    size: int
    stride: int


class View(NamedTuple):
    """The elements of a whole at an offset, with levels from the outermost to the innermost."""

    offset: int
    levels: tuple[Level, ...]


def strided_view(whole: Any, part: Any, hints: Sequence[int] = (), *, first: bool) -> View | None:
    """Return how a flat array is a view of another, or None if it is none.

    ``hints`` are strides that are tried before others. With ``first``, both begin alike.

    >>> import numpy
    >>> strided_view(numpy.arange(6), numpy.array([0, 3, 1, 4, 2, 5]), first=True)
    View(offset=0, levels=(Level(size=3, stride=1), Level(size=2, stride=3)))
    """
    if not 0 < part.size <= whole.size:
        return None
    if part.size == 1:
        at = next(iter((whole == part[0]).nonzero()[0]), None)
        return None if at is None else View(int(at), ())
    search = _Search(whole, part, hints)
    for start, stride in search.beginnings(first=first):
        levels = search.levels(start, stride)
        if levels is not None:
            return View(start, tuple(reversed(levels)))
    return None


class _Search:
    def __init__(self, whole: Any, part: Any, hints: Sequence[int]) -> None:
        self.whole, self.part = whole, part
        self.hints = [hint for hint in dict.fromkeys((1, *hints)) if hint > 0]
        self.left = _MOST_TRIES

    def beginnings(self, *, first: bool) -> Iterator[tuple[int, int]]:
        """Yield offsets and inner strides with which the first elements are right."""
        import numpy as np

        whole, part = self.whole, self.part
        starts = np.zeros(1, np.int64) if first else (whole == part[0]).nonzero()[0]
        if whole[starts[0]] != part[0] if len(starts) else True:
            return
        hinted = [
            (start, stride)
            for stride in self.hints
            for start in self._agreeing(starts, stride)[:_MOST_TRIES]
        ]
        yield from hinted
        seconds = (whole == part[1]).nonzero()[0]
        if len(starts) * len(seconds) > _MOST_PAIRS:
            return
        strides = seconds[None, :] - starts[:, None]
        rows, columns = (strides > 0).nonzero()
        found = sorted(zip(strides[rows, columns].tolist(), starts[rows].tolist(), strict=True))
        known = set(hinted)
        yield from ((at, by) for by, at in self._promising(found) if (at, by) not in known)

    def _agreeing(self, starts: Any, stride: int) -> list[int]:
        """Return the starts after which a few elements are right with this stride."""
        for step in range(1, min(len(self.part), 3)):
            starts = starts[starts + step * stride < len(self.whole)]
            starts = starts[self.whole[starts + step * stride] == self.part[step]]
        return [int(start) for start in starts]

    def _promising(self, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the pairs in the order of how far they are right; all of them if they are few."""
        if len(found) <= 1:
            return found
        import numpy as np

        strides, starts = np.array(found, np.int64).T
        runs = np.full(len(found), 2)
        alive = np.ones(len(found), bool)
        for step in range(2, min(len(self.part), 8)):
            at = starts + step * strides
            alive &= at < len(self.whole)
            alive &= self.whole[np.where(alive, at, 0)] == self.part[step]
            runs += alive
        order = np.argsort(-runs, kind="stable")[:_MOST_TRIES]
        return [found[n] for n in order]

    def levels(self, start: int, stride: int) -> list[Level] | None:
        """Return all levels, innermost first, if the first one has this stride."""
        return self._outward(start, [], 1, stride)

    def _outward(
        self, start: int, levels: list[Level], done: int, stride: int
    ) -> list[Level] | None:
        """Return the levels with one of this stride, and those outside it, that give the part."""
        self.left -= 1
        if self.left < 0:
            return None
        run = self._run(start, levels, done, stride)
        total = self.part.size // done
        for count in _divisors(total, run)[:_MOST_COUNTS]:
            inner = [*levels, Level(count, stride)]
            if count == total:
                return inner
            for outer in self._strides(start, inner, done * count):
                found = self._outward(start, inner, done * count, outer)
                if found is not None:
                    return found
            if self.left < 0:
                return None
        return None

    def _strides(self, start: int, levels: list[Level], done: int) -> list[int]:
        """Return the strides with which the element after those that are done is right."""
        wanted = self.part[done]
        reach = len(self.whole) - start
        hinted = [h for h in self.hints if h < reach and self.whole[start + h] == wanted]
        found = (self.whole[start + 1 :] == wanted).nonzero()[0] + 1
        others = [int(at) for at in found[: _MOST_TRIES * 4]]
        strides = [
            at for at in dict.fromkeys((*hinted, *others)) if self._second(start, levels, at)
        ]
        return strides[:_MOST_TRIES]

    def _second(self, start: int, levels: list[Level], stride: int) -> bool:
        """Return whether the next block, at this stride, begins as it should."""
        done, inner = 1, 0
        for count, step in levels:
            at = start + stride + inner + (count - 1) * step
            last = done * count - 1
            full = self.part[math.prod(level.size for level in levels) + last]
            if at >= len(self.whole) or self.whole[at] != full:
                return False
            inner, done = inner + (count - 1) * step, done * count
        return True

    def _run(self, start: int, levels: list[Level], done: int, stride: int) -> int:
        """Return how many blocks in a row are right at this stride."""
        from numpy.lib.stride_tricks import as_strided

        extent = sum((count - 1) * step for count, step in levels)
        most = min(self.part.size // done, (len(self.whole) - 1 - start - extent) // stride + 1)
        size = self.whole.itemsize
        counts = [level.size for level in reversed(levels)]
        strides = [level.stride * size for level in reversed(levels)]
        right, step = 1, 1
        while right < most:
            step = min(step, most - right)
            here = as_strided(
                self.whole[start + right * stride :], (step, *counts), (stride * size, *strides)
            )
            there = self.part[right * done : (right + step) * done].reshape(step, *counts)
            equal = (here == there).reshape(step, -1).all(axis=1)
            if not equal.all():
                return right + int(equal.argmin())
            right, step = right + step, step * 2
        return right


def _divisors(total: int, most: int) -> list[int]:
    """Return the divisors of a number from 2 to another one, the largest first.

    >>> _divisors(12, 6)
    [6, 4, 3, 2]
    """
    small = [n for n in range(1, math.isqrt(total) + 1) if total % n == 0]
    found = {*small, *(total // n for n in small)}
    return sorted((n for n in found if 1 < n <= most), reverse=True)


def within(view: View, whole: Sequence[int], part: Sequence[int]) -> tuple[Level, ...] | None:
    """Return the levels split where an axis of the whole or of the part begins, or None.

    >>> within(View(0, (Level(6, 1),)), (2, 3), (6,))
    (Level(size=2, stride=3), Level(size=3, stride=1))
    """
    levels: list[Level] = []
    wanted = [size for size in part if size > 1]
    waiting = list(view.levels)
    for size in wanted:
        while size > 1:
            if not waiting:
                return None
            count, stride = waiting.pop(0)
            if count > size:
                if count % size:
                    return None
                waiting.insert(0, Level(count // size, stride))
                count, stride = size, stride * (count // size)
            elif size % count:
                return None
            size //= count
            levels.append(Level(count, stride))
    if waiting:
        return None
    return _split_at(levels, boundaries(whole))


def boundaries(shape: Sequence[int]) -> list[int]:
    """Return the stride of each axis of a shape.

    >>> boundaries((4, 3, 2))
    [6, 2, 1]
    """
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * size)
    return strides[::-1] if shape else []


def likely_strides(shape: Sequence[int], numbers: Iterable[int]) -> list[int]:
    """Return strides that orders of a tensor of this shape are likely to have.

    >>> likely_strides((4, 3), [])
    [1, 3, 6, 2, 6]
    """
    edges = boundaries(shape)
    sizes = [size for size in numbers if size > 1]
    more = [
        edge * (extent // size)
        for edge, extent in zip(edges, shape, strict=True)
        for size in (2, *sizes)
        if extent % size == 0
    ]
    return [*reversed(edges), *(2 * edge for edge in edges), *more]


def _split_at(levels: Sequence[Level], edges: Sequence[int]) -> tuple[Level, ...] | None:
    """Return the levels split where one crosses the stride of an axis."""
    found: list[Level] = []
    for count, stride in levels:
        for edge in sorted(edges, reverse=True):
            if stride < edge < stride * count:
                if edge % stride or (stride * count) % edge:
                    return None
                found.append(Level(stride * count // edge, edge))
                count = edge // stride
        found.append(Level(count, stride))
    return tuple(found)

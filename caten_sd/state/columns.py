"""Questions about long columns of keys and of byte ranges: as sets, or sorted where they are many.

A set of a million members misses the processor's cache at each, so it takes three times as long for
a member as a set of a thousand. numpy's sort does not, but its import takes 0.1 s.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from operator import lt

MANY = 200_000  # from here on, importing numpy takes less than it saves


def are_distinct(keys: Sequence[str]) -> bool:
    """Return whether no key is there twice.

    >>> are_distinct(["a", "b"]), are_distinct(["a", "b", "a"])
    (True, False)
    """
    if len(keys) >= MANY:
        import numpy as np

        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        hashes.sort()
        if (hashes[1:] != hashes[:-1]).all():
            return True
    return len(set(keys)) == len(keys)


def fill_exactly(begins: array[int], ends: array[int], size: int) -> bool:
    """Return whether ranges of bytes fill ``size`` bytes without holes or overlaps.

    No range ends before it begins. An empty one is at the edge of another.

    >>> fill_exactly(array("q", [2, 0, 2]), array("q", [5, 2, 2]), 5)
    True
    >>> fill_exactly(array("q", [1, 0]), array("q", [5, 2]), 5)
    False
    """
    if len(begins) and begins[1:] == ends[:-1]:  # most files hold their data in order
        return begins[0] == 0 and ends[-1] == size
    return (_fill_sorted if len(begins) >= MANY else _fill_sets)(begins, ends, size)


def successors(begins: array[int], end: int) -> array[int]:
    """Return for each range of bytes where the next one begins, ``end`` for the last.

    >>> list(successors(array("q", [4, 0, 9]), 12))
    [9, 4, 12]
    """
    following = begins[1:]
    following.append(end)
    if all(map(lt, begins, following)):  # as in most files
        return following if len(begins) else array("q")
    order = sorted(range(len(begins)), key=begins.__getitem__)
    for position, after in pairwise(order):
        following[position] = begins[after]
    following[order[-1]] = end
    return following


def _fill_sets(begins: array[int], ends: array[int], size: int) -> bool:
    count = sum(map(lt, begins, ends))
    starts = {begin for begin, end in zip(begins, ends, strict=True) if begin < end}
    stops = {end for begin, end in zip(begins, ends, strict=True) if begin < end}
    # Where all begin and end apart, each end but the last is a begin, so they are one chain.
    is_chain = len(starts) == len(stops) == count and starts | {size} == stops | {0}
    return is_chain and (count == len(begins) or starts | {size} >= set(begins))


def _fill_sorted(begins: array[int], ends: array[int], size: int) -> bool:
    import numpy as np

    first, last = np.frombuffer(begins, np.int64), np.frombuffer(ends, np.int64)
    full = first < last
    edges = np.append(np.sort(first[full]), size)
    is_chain = np.array_equal(edges, np.append(0, np.sort(last[full])))
    return bool(is_chain and np.isin(first[~full], edges).all())

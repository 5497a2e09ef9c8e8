"""Fast copies of arrays into C order, if their last two axes are transposed in memory."""

from __future__ import annotations

import itertools
from typing import Any

ROWS, COLUMNS = 256, 128  # of a block, so that it fits into the second-level cache
LINE = 64  # bytes of a cache line
SMALL = 1 << 17  # bytes; a smaller array fits into that cache itself


def contiguous(array: Any) -> Any:
    """Return a ``numpy.ndarray`` in C order: the array itself if possible, else a copy.

    A transposed matrix is copied block by block. ``numpy.ascontiguousarray`` copies complete rows,
    misses the cache at each element and takes two to ten times as long.

    >>> import numpy
    >>> contiguous(numpy.arange(6).reshape(2, 3).T).flags.c_contiguous
    True
    """
    import numpy as np

    if array.flags.c_contiguous or array.nbytes < SMALL or not _turned(array):
        return np.ascontiguousarray(array) if array.ndim else array
    result = np.empty(array.shape, array.dtype)
    # numpy copies the dtypes of ml_dtypes element by element; integers of that size are faster.
    given, taken = (each.view(f"u{array.itemsize}") for each in (array, result))
    # One cache line more than a power of two, or else the columns would share their cache sets.
    block = np.empty((COLUMNS, ROWS + LINE), given.dtype)
    for index in itertools.product(*map(range, array.shape[:-2])):
        _copy_turned(given[index], taken[index], block)
    return result


def _turned(array: Any) -> bool:
    """Return whether the elements of the second to last axis are adjacent in memory."""
    if array.ndim < 2 or array.dtype.hasobject or array.itemsize not in (1, 2, 4, 8):
        return False
    steps = [abs(step) for step in array.strides]
    return bool(steps[-2] == array.itemsize and steps[-1] > steps[-2])


def _copy_turned(given: Any, taken: Any, block: Any) -> None:
    """Copy a matrix with contiguous columns to one with contiguous rows, through a small block."""
    rows, columns = given.shape
    for top, left in itertools.product(range(0, rows, ROWS), range(0, columns, COLUMNS)):
        part = given[top : top + ROWS, left : left + COLUMNS]
        held = block[: part.shape[1], : part.shape[0]].T
        held[...] = part
        taken[top : top + ROWS, left : left + COLUMNS] = held

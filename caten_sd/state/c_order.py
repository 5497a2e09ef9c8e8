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

    if array.flags.c_contiguous or array.nbytes < SMALL or not _is_transposed(array):
        return np.ascontiguousarray(array) if array.ndim else array
    result = np.empty(array.shape, array.dtype)
    # numpy copies the dtypes of ml_dtypes element by element; integers of that size are faster.
    source, target = (each.view(f"u{array.itemsize}") for each in (array, result))
    # One cache line more than a power of two, or else the columns would share their cache sets.
    block = np.empty((COLUMNS, ROWS + LINE), source.dtype)
    for index in itertools.product(*map(range, array.shape[:-2])):
        _copy_transposed(source[index], target[index], block)
    return result


def _is_transposed(array: Any) -> bool:
    """Return whether the elements of the second to last axis are adjacent in memory."""
    if array.ndim < 2 or array.dtype.hasobject or array.itemsize not in (1, 2, 4, 8):
        return False
    steps = [abs(step) for step in array.strides]
    return bool(steps[-2] == array.itemsize and steps[-1] > steps[-2])


def _copy_transposed(source: Any, target: Any, block: Any) -> None:
    """Copy a matrix with contiguous columns to one with contiguous rows, through a small block."""
    rows, columns = source.shape
    for top, left in itertools.product(range(0, rows, ROWS), range(0, columns, COLUMNS)):
        window = source[top : top + ROWS, left : left + COLUMNS]
        copy = block[: window.shape[1], : window.shape[0]].T
        copy[...] = window
        target[top : top + ROWS, left : left + COLUMNS] = copy

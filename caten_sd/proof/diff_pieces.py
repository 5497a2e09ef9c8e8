"""The values of two leaves of one shape, side by side in blocks, whatever holds them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.proof.diff_rounding import Rounding
from caten_sd.proof.diff_tally import Tally, tallied
from caten_sd.proof.wider_blocks import room_for
from caten_sd.state.compare import flat_blocks
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.derived import sliced
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.parts import cut_together, parts

_BLOCK = 1 << 15  # elements; they and what is made of them fit in half of a cache
_READ = 1 << 17  # bytes read at a time
_SHARED = 1 << 21  # elements that are worth a second thread


def blocks_of(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the same elements of two leaves of one shape, in flat arrays that a cache can hold.

    A leaf in a file is read in parts, so that memory is bounded also next to a leaf in memory.
    """
    if _is_stored_plainly(a) and _is_stored_plainly(b):
        yield from _stored(a, b, 0, math.prod(a.shape))
    elif isinstance(a, LazyLeaf) == isinstance(b, LazyLeaf):
        for one, other in cut_together(a, b):
            yield from _pairs(_array(one), _array(other))
    elif isinstance(a, LazyLeaf):
        yield from _against(a, _array(b))
    else:
        yield from ((one, other) for other, one in _against(b, _array(a)))


def tally_of(a: Any, b: Any, rounding: Rounding | None = None, *, quick: bool = False) -> Tally:
    """Return the sums over all elements of two leaves, by two threads where both are large."""
    if not (_is_stored_plainly(a) and _is_stored_plainly(b)):
        return tallied(blocks_of(a, b), rounding, quick=quick)
    count = math.prod(a.shape)
    is_shared = a.source.is_random_access and b.source.is_random_access
    if count < _SHARED or not is_shared:
        return tallied(_stored(a, b, 0, count), rounding, quick=quick)
    from concurrent.futures import ThreadPoolExecutor  # which small leaves do without

    half = count // 2 // _BLOCK * _BLOCK
    with ThreadPoolExecutor(1) as other:
        second = other.submit(tallied, _stored(a, b, half, count), rounding, quick=quick)
        first = tallied(_stored(a, b, 0, half), rounding, quick=quick)
        return first.plus(second.result())


def _is_stored_plainly(leaf: Any) -> bool:
    """Return whether a file has the elements of a leaf one after another, each in whole bytes."""
    return isinstance(leaf, LazyTensor) and leaf.is_canonical and leaf.dtype.itemsize > 0


def _stored(a: LazyTensor, b: LazyTensor, first: int, end: int) -> Iterator[tuple[Any, Any]]:
    """Yield a range of elements of two leaves in files, read into the same memory each time."""
    import numpy as np

    dtypes = [numpy_dtype(leaf.dtype) for leaf in (a, b)]
    many = max(_READ // max(dtype.itemsize for dtype in dtypes) // _BLOCK, 1) * _BLOCK
    rooms = [room_for(min(end - first, many) * dtype.itemsize, np.uint8) for dtype in dtypes]
    for start in range(first, end, many):
        count = min(many, end - start)
        pair = []
        for leaf, dtype, room in zip((a, b), dtypes, rooms, strict=True):
            bytes_read = room[: count * dtype.itemsize]
            leaf.source.read_into(leaf.offset + start * dtype.itemsize, bytes_read.data)
            pair.append(bytes_read.view(dtype))
        for at in range(0, count, _BLOCK):
            yield pair[0][at : at + _BLOCK], pair[1][at : at + _BLOCK]


def _against(lazy: Any, whole: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the elements of a leaf that is read in parts, and those of an array in memory."""
    at = 0
    flat = whole.reshape(-1)
    for part in parts(lazy):
        array = _array(part).reshape(-1)
        yield from _pairs(array, flat[at : at + array.size])
        at += array.size


def _pairs(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    shapes = [array if array.ndim else array.reshape(1) for array in (one, other)]
    for pair in flat_blocks(*shapes):
        yield pair[0], pair[1]


def _array(leaf: Any) -> Any:
    return with_bytes_copied(as_array, Numpy(), leaf)


def squares_of(leaf: Any) -> float:
    """Return the sum of the squares of the values of a leaf, which their order does not change."""
    return tally_of(leaf, leaf, quick=True).squares_a


def has_numbers(leaf: Any) -> bool:
    """Return whether numpy can have the values of a leaf, which it cannot of all blocks."""
    known = spec(leaf)
    if known.dtype.kind != "block":
        return known.dtype.kind != "other"
    try:
        _array(sliced(leaf, tuple(slice(0, 1) for _ in known.shape)))
    except CatenError:
        return False
    return True

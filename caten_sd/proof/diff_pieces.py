"""The values of two leaves of one shape, side by side in blocks, whatever holds them."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.proof.diff_rounding import Rounding
from caten_sd.proof.diff_tally import Tally, tallied
from caten_sd.proof.stored_floats import StoredFloats
from caten_sd.state.compare import flat_blocks
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.derived import sliced
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.parts import cut_together, parts
from caten_sd.state.scratch import keep_scratch

# Elements: two blocks of floats stay in a cache of a processor. Two threads wait for each other
# between short steps, so they have longer ones.
_BLOCK = {False: 1 << 16, True: 3 << 16}
_SHARED = 1 << 20  # elements that are worth a second thread


def blocks_of(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the same elements of two leaves of one shape, in flat arrays that a cache can hold.

    A leaf in a file is read in parts, so that memory is bounded also next to a leaf in memory.
    """
    if isinstance(a, LazyLeaf) == isinstance(b, LazyLeaf):
        for one, other in cut_together(a, b):
            yield from _pairs(_array(one), _array(other))
    elif isinstance(a, LazyLeaf):
        yield from _against(a, _array(b))
    else:
        yield from ((one, other) for other, one in _against(b, _array(a)))


class SecondThread:
    """A thread that is started when it is needed first, which small leaves do without."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __enter__(self) -> SecondThread:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def start(self, work: Callable[[], Tally]) -> Callable[[], Tally]:
        """Begin the work, and return what waits for its result."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1)
        result: Callable[[], Tally] = self._pool.submit(work).result
        return result


def tally_of(
    a: Any,
    b: Any,
    rounding: Rounding | None = None,
    *,
    quick: bool = False,
    other: SecondThread | None = None,
) -> Tally:
    """Return the sums over all elements of two leaves, by two threads where both are large."""
    if not (_is_stored_plainly(a) and _is_stored_plainly(b)):
        return tallied(blocks_of(a, b), rounding, quick=quick)
    keep_scratch()
    count = math.prod(a.shape)
    are_two = count >= _SHARED and a.source.is_random_access and b.source.is_random_access
    most = min(_BLOCK[are_two], count) or 1
    starts = deque(range(0, count, most))  # of which each thread takes the next one

    def add_up() -> Tally:
        return _stored(a, b, starts, most, Tally(rounding, quick=quick))

    if not are_two:
        return add_up()
    if other is None:
        with SecondThread() as own:
            return tally_of(a, b, rounding, quick=quick, other=own)
    rest = other.start(add_up)
    try:
        found = add_up()
    except BaseException:
        starts.clear()  # so that the other one ends as well
        raise
    return found.plus(rest())


def _is_stored_plainly(leaf: Any) -> bool:
    """Return whether a file has the elements of a leaf one after another, each in whole bytes."""
    return isinstance(leaf, LazyTensor) and leaf.is_canonical and leaf.dtype.itemsize > 0


def _stored(a: LazyTensor, b: LazyTensor, starts: deque[int], most: int, tally: Tally) -> Tally:
    """Add the blocks of two leaves in files that begin at these elements."""
    import numpy as np

    count = math.prod(a.shape)
    both = StoredFloats(a, b)
    with np.errstate(all="ignore"):
        for start in _taken(starts):
            if not _add(tally, both, start, min(most, count - start)):
                tally.add(*both.values(start, min(most, count - start)))
    both.check()
    return tally


def _taken(starts: deque[int]) -> Iterator[int]:
    """Yield what no other thread has taken."""
    with contextlib.suppress(IndexError):
        while True:
            yield starts.popleft()


def _add(tally: Tally, both: StoredFloats, start: int, count: int) -> bool:
    """Add a block as floats that are not kept; return whether that was possible."""
    if both.wide.char not in "fd":
        return False
    a, b = both.of(start, count)
    gaps = b if tally.rounding is None else tally.room(b)
    is_added = tally.add_floats(a, b, gaps, below=both.below)
    tally.elements += count * is_added
    return is_added


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

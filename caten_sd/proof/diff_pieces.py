"""The values of two leaves of one shape, side by side in blocks, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.proof.diff_rounding import Rounding
from caten_sd.proof.diff_tally import Tally, tallied
from caten_sd.proof.stored_tallies import StoredPair, stored_tallies
from caten_sd.state.compare import flat_blocks
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.derived import sliced
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.parts import cut_together, parts


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


def tally_of(a: Any, b: Any, rounding: Rounding | None = None, *, quick: bool = False) -> Tally:
    """Return the sums over all elements of two leaves of one shape."""
    if StoredPair.can_be(a, b):
        return stored_tallies([StoredPair(a, b, rounding)], quick=quick)[0]
    return tallied(blocks_of(a, b), rounding, quick=quick)


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

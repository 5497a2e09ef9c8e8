"""Parts: a leaf that is not in memory, cut into boxes that are read and computed one at a time.

So a cast or a transpose of a tensor of any size takes the memory of one part.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from caten_sd.state.derived import Derived, narrowed_in_file, sliced
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, spec
from caten_sd.state.row_leaf import RowLeaf
from caten_sd.state.scratch import keep_scratch
from caten_sd.state.steps import Box

PART = 1 << 21  # bytes; small enough that the memory of one part is used again for the next one
_FLOAT = 4  # bytes of a value that was in a block
_SEVERAL = 16  # bytes of a value while it is computed from those of several arrays
SCATTERED = 1 << 25  # bytes of a part whose rows lie apart in the file, so that each costs a read


def parts(leaf: Any) -> list[Any]:
    """Return leaves whose bytes, one after the other, are those of the leaf.

    The leaf itself is the only one if it is small, in memory, or costs much more in parts.
    """
    return [part for (part,) in cut_together(leaf)]


def cut_together(*leaves: Any) -> list[tuple[Any, ...]]:
    """Return the same boxes of leaves of one shape, in C order; each has a part of every leaf."""
    size = max(max(spec(each).nbytes, bytes_read(each)) for each in leaves)
    count = math.prod(spec(leaves[0]).shape)
    if size > PART and count > 1 and all(map(_can_be_cut, leaves)):
        keep_scratch()
        width = max(map(_bytes_of_an_element, leaves))
        cut = _boxes_of(leaves, min(PART // width, count - 1))
        if _stay_near(leaves, cut):
            return cut
        if size > SCATTERED:
            cut = _boxes_of(leaves, min(SCATTERED // width, count - 1))
            if _are_read_once(leaves, cut):
                return cut
    return [leaves]


def bytes_read(leaf: Any, *, gaps: bool = False) -> int:
    """Return how many bytes of files it takes to have a leaf, and those in the gaps if asked."""
    if isinstance(leaf, Derived) and (narrowed := narrowed_in_file(leaf)) is not None:
        leaf = narrowed
    if origins := _origins(leaf):
        return sum(bytes_read(each, gaps=gaps) for each in origins)
    if isinstance(leaf, LazyTensor) and gaps:
        return leaf.extent
    chunks = leaf.bytes_of_chunks if isinstance(leaf, LazyLeaf) else 0
    return chunks or spec(leaf).nbytes


def _times_read(leaf: Any) -> int:
    """Return how many times the parts of a leaf may read the same bytes."""
    own = leaf.times_read if isinstance(leaf, RowLeaf) else 1
    return max([own, *map(_times_read, _origins(leaf))])


def _origins(leaf: Any) -> tuple[Any, ...]:
    """Return the leaves that a leaf is computed from: none for an array in memory."""
    return leaf.origins() if isinstance(leaf, LazyLeaf) else ()


def _can_be_cut(leaf: Any) -> bool:
    """Return whether no byte of a leaf is in memory and none is shared by two elements."""
    if not isinstance(leaf, LazyLeaf) or (not leaf.dtype.itemsize and leaf.dtype.kind != "block"):
        return False
    return all(map(_can_be_cut, leaf.origins()))


def bytes_computed(leaf: Any) -> int:
    """Return how many bytes a leaf takes at most while all of it is computed."""
    return _bytes_of_an_element(leaf) * math.prod(spec(leaf).shape)


def _bytes_of_an_element(leaf: Any) -> int:
    """Return how many bytes an element takes at most while it is computed."""
    known = spec(leaf).dtype
    own = _FLOAT if known.kind == "block" else known.itemsize
    if isinstance(leaf, RowLeaf):
        own = max(own, _SEVERAL)
    before = [_bytes_of_an_element(each) * _ratio(each, leaf) for each in _origins(leaf)]
    return max(own, 1, *before)


def _ratio(origin: Any, leaf: Any) -> int:
    """Return how many elements of an origin make one of the leaf; a step moves each by itself."""
    if isinstance(leaf, Derived):
        return 1
    return -(-math.prod(spec(origin).shape) // max(math.prod(spec(leaf).shape), 1))


def _boxes_of(leaves: Sequence[Any], most: int) -> list[tuple[Any, ...]]:
    boxes = _boxes(spec(leaves[0]).shape, max(most, 1))
    return [tuple(sliced(each, box) for each in leaves) for box in boxes]


def _boxes(shape: Sequence[int], most: int) -> Iterator[Box]:
    """Yield boxes of at most that many elements, which cover a shape in C order.

    >>> [[(each.start, each.stop) for each in box] for box in _boxes((3, 2), 4)]
    [[(0, 2), (0, 2)], [(2, 3), (0, 2)]]
    """
    axis = 0
    while math.prod(shape[axis + 1 :]) > most:
        axis += 1
    rows = most // math.prod(shape[axis + 1 :])
    ahead = itertools.product(*map(range, shape[:axis]))
    rest = tuple(slice(0, n) for n in shape[axis + 1 :])
    for indices, start in itertools.product(ahead, range(0, shape[axis], rows)):
        first = tuple(slice(index, index + 1) for index in indices)
        yield (*first, slice(start, min(start + rows, shape[axis])), *rest)


def _stay_near(leaves: Sequence[Any], cut: Sequence[tuple[Any, ...]]) -> bool:
    """Return whether the parts lie in the file as the leaves do, without gaps worth mentioning."""
    before = sum(bytes_read(each, gaps=True) * _times_read(each) for each in leaves)
    return sum(bytes_read(each, gaps=True) for part in cut for each in part) <= 5 * before // 4


def _are_read_once(leaves: Sequence[Any], cut: Sequence[tuple[Any, ...]]) -> bool:
    """Return whether the parts together take few bytes more than the leaves."""
    before = sum(bytes_read(each) * _times_read(each) for each in leaves)
    return sum(bytes_read(each) for part in cut for each in part) <= 5 * before // 4

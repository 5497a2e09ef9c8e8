"""ChunkedTensor: an array in chunks of one size, of which a slice reads those that it touches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.formats.orbax.chunk_reading import ChunkReader
from caten_sd.state.dtype import DType
from caten_sd.state.indexing import picks
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array

Axis = range | int


class ChunkedTensor(LazyLeaf):
    """A leaf whose chunks are read, and unpacked, when they are needed.

    ``axes`` holds, for every axis of the whole array, the indices that this leaf shows.
    """

    __slots__ = ("axes", "chunks", "dtype", "shape")

    def __init__(self, dtype: DType, chunks: ChunkReader, axes: Sequence[Axis]) -> None:
        self.dtype, self.chunks, self.axes = dtype, chunks, tuple(axes)
        self.shape = tuple(len(axis) for axis in self.axes if isinstance(axis, range))

    @property
    def bytes_of_chunks(self) -> int:
        """The bytes of all chunks that are read to have the leaf."""
        sizes = zip(self.axes, self.chunks.sizes, strict=True)
        counts = (len(list(_parts(axis, size))) for axis, size in sizes)
        return math.prod(counts) * self.chunks.nbytes

    def __getitem__(self, index: Any) -> ChunkedTensor:
        """Return a lazy slice, by integers and slices of positive step."""
        chosen = iter(picks(len(self.shape), index))
        axes = [axis if isinstance(axis, int) else axis[next(chosen)] for axis in self.axes]
        return ChunkedTensor(self.dtype, self.chunks, axes)


@as_array.register(Numpy, ChunkedTensor)
def _by_numpy(kind: Numpy, leaf: ChunkedTensor, /) -> Any:
    import numpy as np

    known = leaf.chunks
    parts = [list(_parts(axis, size)) for axis, size in zip(leaf.axes, known.sizes, strict=True)]
    if math.prod(map(len, parts)) == 1:
        only = [part[0] for part in parts]
        chunk = known.chunk(tuple(number for number, _, _ in only))
        found = as_array(kind, chunk[(*(local for _, local, _ in only), ...)])
        return found if found.flags.writeable else found.copy()
    try:
        out = np.empty(leaf.shape, known.stored)
    except (ValueError, MemoryError) as error:
        raise CatenError(f"numpy cannot hold {leaf} ({error}); read a slice of it") from error
    for part in itertools.product(*parts) if 0 not in leaf.shape else ():
        chunk = known.chunk(tuple(number for number, _, _ in part))
        place = tuple(place for _, _, place in part if place is not None)
        out[place] = as_array(kind, chunk[(*(local for _, local, _ in part), ...)])
    return out


def _parts(axis: Axis, size: int) -> Iterator[tuple[int, Any, slice | None]]:
    """Yield the chunks that an axis touches: the number, what of it, and where that belongs."""
    if isinstance(axis, int):
        yield axis // size, axis % size, None
        return
    at = 0
    while at < len(axis):
        number, first = divmod(axis[at], size)
        count = min(-(-(size - first) // axis.step), len(axis) - at)
        stop = first + (count - 1) * axis.step + 1
        yield number, slice(first, stop, axis.step), slice(at, at + count)
        at += count

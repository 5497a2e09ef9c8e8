"""ChunkedTensor: an array in chunks of one size, of which a slice reads those that it touches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from caten_sd.errors import CatenError
from caten_sd.formats.orbax.chunk_reading import ChunkReader
from caten_sd.state.dtype import DType
from caten_sd.state.indexing import picks
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array

Axis = range | int
Piece = tuple[tuple[int, ...], tuple[Any, ...], tuple[slice, ...]]


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
        return self.count * self.chunks.nbytes

    @property
    def count(self) -> int:
        """How many chunks are read to have the leaf: a header may claim any number."""
        sizes = zip(self.axes, self.chunks.sizes, strict=True)
        return 0 if 0 in self.shape else math.prod(_touched(axis, size) for axis, size in sizes)

    def __getitem__(self, index: Any) -> ChunkedTensor:
        """Return a lazy slice, by integers and slices of positive step."""
        chosen = iter(picks(len(self.shape), index))
        axes = [axis if isinstance(axis, int) else axis[next(chosen)] for axis in self.axes]
        return ChunkedTensor(self.dtype, self.chunks, axes)


@as_array.register(Numpy, ChunkedTensor)
def _by_numpy(kind: Numpy, leaf: ChunkedTensor, /) -> Any:
    known = leaf.chunks
    pieces = _pieces(leaf.axes, known.sizes) if leaf.count else iter(())
    if leaf.count == 1:
        chunk, local, _ = next(pieces)
        found = as_array(kind, known.chunk(chunk)[(*local, ...)])
        return found if found.flags.writeable else found.copy()
    out = None
    for chunk, local, place in pieces:
        part = as_array(kind, known.chunk(chunk)[(*local, ...)])
        if out is None:  # no memory is taken for what a damaged file only claims
            out = _empty(leaf)
        out[place] = part
    return _empty(leaf) if out is None else out


def _empty(leaf: ChunkedTensor) -> Any:
    import numpy as np

    try:
        return np.empty(leaf.shape, leaf.chunks.stored)
    except (ValueError, MemoryError) as error:
        raise CatenError(f"numpy cannot hold {leaf} ({error}); read a slice of it") from error


def _pieces(axes: Sequence[Axis], sizes: Sequence[int]) -> Iterator[Piece]:
    """Yield the chunks that axes touch, one at a time: numbers, what of it, where that belongs."""
    if not axes:
        yield (), (), ()
        return
    for number, local, place in _parts(axes[0], sizes[0]):
        own = () if place is None else (place,)
        for numbers, locals_, places in _pieces(axes[1:], sizes[1:]):
            yield (number, *numbers), (local, *locals_), (*own, *places)


def _touched(axis: Axis, size: int) -> int:
    """Return how many chunks an axis touches."""
    if isinstance(axis, int):
        return 1
    return min(len(axis), axis[-1] // size - axis[0] // size + 1)


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

"""TiledTensor: a tensor stored as tiles, of which only the needed ones are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from caten_sd.errors import CatenError
from caten_sd.state.dtype import DType, numpy_dtype
from caten_sd.state.indexing import picks
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array

Sizes = tuple[int, ...]


class Tile(NamedTuple):
    """A box of a tensor, from ``start`` to ``stop`` on every axis; ``open`` returns its leaf."""

    start: Sizes
    stop: Sizes
    open: Callable[[], Any]


class TiledTensor(LazyLeaf):
    """A leaf made of tiles that cover it exactly.

    ``axes`` holds, for every axis of the full tensor, the indices that this leaf shows. Basic
    indexing stays lazy: a slice opens only the tiles that it overlaps.
    """

    __slots__ = ("axes", "dtype", "shape", "tiles")

    def __init__(self, dtype: DType, tiles: Sequence[Tile], axes: Sequence[range | int]) -> None:
        self.dtype, self.tiles, self.axes = dtype, tuple(tiles), tuple(axes)
        self.shape = tuple(len(axis) for axis in self.axes if isinstance(axis, range))

    def __getitem__(self, index: Any) -> TiledTensor:
        """Return a lazy slice, by integers and slices of positive step."""
        chosen = iter(picks(len(self.shape), index))
        axes = [_picked(axis, chosen) for axis in self.axes]
        return TiledTensor(self.dtype, self.tiles, axes)

    def __repr__(self) -> str:
        return f"TiledTensor({self.dtype}, {list(self.shape)}, {len(self.tiles)} tiles)"


def _picked(axis: range | int, chosen: Iterator[Any]) -> range | int:
    if isinstance(axis, int):
        return axis
    picked: range | int = axis[next(chosen)]
    return picked


@as_array.register(Numpy, TiledTensor)
def _by_numpy(kind: Numpy, leaf: TiledTensor, /) -> Any:
    import numpy as np

    used = [(tile, *places) for tile in leaf.tiles if (places := _overlap(tile, leaf.axes))]
    if len(used) == 1:
        tile, local, _ = used[0]
        return as_array(kind, tile.open()[(*local, ...)])
    try:
        out = np.empty(leaf.shape, numpy_dtype(leaf.dtype))
    except ValueError as error:  # over 64 axes, or an empty array with axes that are too long
        raise CatenError(f"numpy cannot hold {leaf} ({error}); read a slice of it") from error
    for tile, local, place in used:
        out[place] = as_array(kind, _slice(tile, local))
    return out


def _slice(tile: Tile, local: tuple[Any, ...]) -> Any:
    """Return a slice of a tile's leaf; the leaf itself if that is all, so that it stays dense."""
    full = tuple(slice(0, stop - at, 1) for at, stop in zip(tile.start, tile.stop, strict=True))
    return tile.open() if local == full else tile.open()[(*local, ...)]


def _overlap(
    tile: Tile, axes: Sequence[range | int]
) -> tuple[tuple[Any, ...], tuple[slice, ...]] | None:
    """Return the slice of the tile that the axes show, and its place in the result."""
    local: list[Any] = []
    place = []
    for start, stop, axis in zip(tile.start, tile.stop, axes, strict=True):
        if isinstance(axis, int):
            if not start <= axis < stop:
                return None
            local.append(axis - start)
            continue
        first, last = _first_from(axis, start), _first_from(axis, stop)
        if first >= last:
            return None
        at = axis[first] - start
        local.append(slice(at, at + (last - first - 1) * axis.step + 1, axis.step))
        place.append(slice(first, last))
    return tuple(local), tuple(place)


def _first_from(axis: range, index: int) -> int:
    """Return the position in a range of its first element at or after an index."""
    return min(max(-((axis.start - index) // axis.step), 0), len(axis))


Run = tuple[int, int]
Bounds = tuple[Sizes, Sizes]  # start and stop


class CoverageFault(NamedTuple):
    """The runs of an axis that boxes cover once, not at all, and twice."""

    axis: int
    once: list[Run]
    missing: list[Run]
    twice: list[Run]


def coverage_fault(shape: Sizes, boxes: Sequence[Bounds]) -> CoverageFault | None:
    """Return where boxes (start, stop) leave a gap in a shape or overlap, or None.

    >>> coverage_fault((4, 2), [((0, 0), (1, 2)), ((3, 0), (4, 2))])
    CoverageFault(axis=0, once=[(0, 1), (3, 4)], missing=[(1, 3)], twice=[])
    """
    return _fault(shape, boxes, 0) if 0 not in shape else None


def _fault(shape: Sizes, boxes: Sequence[Bounds], axis: int) -> CoverageFault | None:
    """Return the fault on this axis or a later one, among boxes that agree on the earlier ones."""
    if len(boxes) == 1 and not any(boxes[0][0][axis:]) and boxes[0][1][axis:] == shape[axis:]:
        return None
    if axis == len(shape):
        return _fault_of_element(shape, len(boxes))
    layers = _layers(shape[axis], boxes, axis)
    if missing := [run for run, here in layers if not here]:
        once = [run for run, here in layers if here]
        return CoverageFault(axis, _joined(once), _joined(missing), [])
    for run, here in layers:
        if found := _fault(shape, here, axis + 1):
            return found if found.once or found.missing else CoverageFault(axis, [], [], [run])
    return None


def _fault_of_element(shape: Sizes, count: int) -> CoverageFault:
    """Return the fault of an element that no box covers, or that several do."""
    run = [(0, shape[-1] if shape else 1)]
    return CoverageFault(max(len(shape) - 1, 0), [], [] if count else run, run if count else [])


def _layers(size: int, boxes: Sequence[Bounds], axis: int) -> list[tuple[Run, list[Bounds]]]:
    """Return the runs of an axis between the edges of boxes, each with the boxes that cover it."""
    edges = sorted({0, size, *(edge[axis] for box in boxes for edge in box)})
    place = {edge: number for number, edge in enumerate(edges)}
    layers: list[list[Bounds]] = [[] for _ in edges[1:]]
    for box in boxes:
        for number in range(place[box[0][axis]], place[box[1][axis]]):
            layers[number].append(box)
    return list(zip(pairwise(edges), layers, strict=True))


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with adjacent ones joined."""
    joined: list[Run] = []
    for start, stop in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined

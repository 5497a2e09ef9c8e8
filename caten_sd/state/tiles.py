"""A tensor that lies in pieces: each a box of it, read only where the box is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from caten_sd.errors import CatenError
from caten_sd.state.indexing import picks
from caten_sd.state.leaf import DType, Numpy, Unread, as_array, numpy_dtype

Sizes = tuple[int, ...]


class Tile(NamedTuple):
    """A box of a tensor, from ``start`` up to ``stop`` on every axis; ``open`` gives its leaf."""

    start: Sizes
    stop: Sizes
    open: Callable[[], Any]


class TiledTensor(Unread):
    """A leaf of tiles that cover it exactly; ``axes`` are the indices of the whole that it shows.

    Basic indexing stays lazy: a slice opens only the tiles that it meets.
    """

    __slots__ = ("axes", "dtype", "shape", "tiles")

    def __init__(self, dtype: DType, tiles: Sequence[Tile], axes: Sequence[range | int]) -> None:
        self.dtype, self.tiles, self.axes = dtype, tuple(tiles), tuple(axes)
        self.shape = tuple(len(axis) for axis in self.axes if isinstance(axis, range))

    def __getitem__(self, index: Any) -> TiledTensor:
        """Return the part under basic indexing (integers, slices of positive step), unread."""
        chosen = iter(picks(len(self.shape), index))
        axes = [_picked(axis, chosen) for axis in self.axes]
        return TiledTensor(self.dtype, self.tiles, axes)

    def __repr__(self) -> str:
        return f"TiledTensor({self.dtype}, {list(self.shape)}, {len(self.tiles)} tiles)"


def _picked(axis: range | int, chosen: Iterator[Any]) -> range | int:
    if isinstance(axis, int):
        return axis
    pick = next(chosen)
    if isinstance(pick, slice) and (pick.step or 1) < 1:
        raise IndexError("a leaf of a file is sliced forwards only")
    picked: range | int = axis[pick]
    return picked


@as_array.register(Numpy, TiledTensor)
def _by_numpy(kind: Numpy, leaf: TiledTensor, /) -> Any:
    import numpy as np

    met = [(tile, *places) for tile in leaf.tiles if (places := _overlap(tile, leaf.axes))]
    if len(met) == 1:
        tile, local, _ = met[0]
        return as_array(kind, tile.open()[(*local, ...)])
    try:
        out = np.empty(leaf.shape, numpy_dtype(leaf.dtype))
    except ValueError as error:  # over 64 axes, or no elements along axes that are too long
        raise CatenError(f"{error}; numpy cannot have an array of {leaf}") from error
    for tile, local, place in met:
        out[place] = as_array(kind, _part(tile, local))
    return out


def _part(tile: Tile, local: tuple[Any, ...]) -> Any:
    """Return a part of a tile; the whole as it is, since its bytes are then known to be dense."""
    whole = tuple(slice(0, stop - at, 1) for at, stop in zip(tile.start, tile.stop, strict=True))
    return tile.open() if local == whole else tile.open()[(*local, ...)]


def _overlap(
    tile: Tile, axes: Sequence[range | int]
) -> tuple[tuple[Any, ...], tuple[slice, ...]] | None:
    """Return which part of the tile lies under the axes, and where it goes in the result."""
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
    """Return the position in a range of its first element at or behind an index."""
    return min(max(-((axis.start - index) // axis.step), 0), len(axis))


class Cover(NamedTuple):
    """How boxes cover an axis: ``once`` are the runs with one layer, ``wrong`` those without."""

    axis: int
    once: list[tuple[int, int]]
    missing: list[tuple[int, int]]
    twice: list[tuple[int, int]]


def misfit(shape: Sizes, boxes: Sequence[tuple[Sizes, Sizes]]) -> Cover | None:
    """Return where boxes (start, stop) leave a hole in a shape or overlap, or None.

    >>> misfit((4, 2), [((0, 0), (1, 2)), ((3, 0), (4, 2))])
    Cover(axis=0, once=[(0, 1), (3, 4)], missing=[(1, 3)], twice=[])
    """
    return _misfit(shape, boxes, 0) if 0 not in shape else None


def _misfit(shape: Sizes, boxes: Sequence[tuple[Sizes, Sizes]], axis: int) -> Cover | None:
    if axis == len(shape):
        whole = [(0, shape[-1] if shape else 1)]
        wrong = Cover(max(axis - 1, 0), [], [] if boxes else whole, whole if boxes else [])
        return None if len(boxes) == 1 else wrong
    edges = sorted({0, shape[axis], *(edge[axis] for box in boxes for edge in box)})
    place = {edge: number for number, edge in enumerate(edges)}
    layers: list[list[tuple[Sizes, Sizes]]] = [[] for _ in edges[1:]]
    for box in boxes:
        for number in range(place[box[0][axis]], place[box[1][axis]]):
            layers[number].append(box)
    runs = list(zip(pairwise(edges), layers, strict=True))
    if missing := [run for run, inside in runs if not inside]:
        return Cover(axis, _joined([run for run, inside in runs if inside]), _joined(missing), [])
    for run, inside in runs:
        if found := _misfit(shape, inside, axis + 1):
            return found if found.once or found.missing else Cover(axis, [], [], [run])
    return None


def _joined(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return runs with neighbours made one."""
    joined: list[tuple[int, int]] = []
    for start, stop in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined

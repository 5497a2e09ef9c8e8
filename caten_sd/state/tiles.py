"""TiledTensor: a tensor stored as tiles, of which only the needed ones are read."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from random import randrange
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
_PRIME = 2**61 - 1


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
    whole = ((0,) * len(shape), shape)
    if 0 in shape or (len(boxes) == 1 and boxes[0] == whole) or _are_slices(whole, boxes):
        return None
    return _Coverage(shape, boxes, _volumes([*boxes, whole])).fault(range(len(boxes)), 0)


def _are_slices(whole: Bounds, boxes: Sequence[Bounds]) -> bool:
    """Return whether boxes are the slices of a shape along one axis, as most are, in any order."""
    first, last = whole
    ordered = sorted(boxes)
    axis = next((n for n, end in enumerate(last) if ordered and ordered[0][1][n] != end), -1)
    if axis < 0:
        return False
    at, before, after = 0, slice(axis), slice(axis + 1, None)
    for start, stop in ordered:
        if start != (*first[before], at, *first[after]) or stop[before] != last[before]:
            return False
        if stop[after] != last[after]:
            return False
        at = stop[axis]
    return at == last[axis]


class _Layer(NamedTuple):
    """A run of an axis between edges of boxes: how many cover it, and whether each place once."""

    run: Run
    boxes: int
    is_covered: bool


class _Coverage(NamedTuple):
    """Boxes of a shape, with the volumes of each and of the shape from every axis on."""

    shape: Sizes
    boxes: Sequence[Bounds]
    volumes: Sequence[Sequence[int]]

    def fault(self, numbers: Sequence[int], axis: int) -> CoverageFault | None:
        """Return the fault on this axis or a later one, of boxes that agree on the earlier ones."""
        if axis == len(self.shape):
            return self._fault_of_element(len(numbers))
        layers = self._layers(numbers, axis)
        if missing := [layer.run for layer in layers if not layer.boxes]:
            once = [layer.run for layer in layers if layer.boxes]
            return CoverageFault(axis, _joined(once), _joined(missing), [])
        run = next((layer.run for layer in layers if not layer.is_covered), None)
        if run is None:
            return None
        edges = ((number, *self.boxes[number]) for number in numbers)
        here = [number for number, start, stop in edges if start[axis] <= run[0] < stop[axis]]
        found = self.fault(here, axis + 1)
        return found if found and found.missing else CoverageFault(axis, [], [], [run])

    def _fault_of_element(self, count: int) -> CoverageFault:
        """Return the fault of an element that no box covers, or that several do."""
        run = [(0, self.shape[-1] if self.shape else 1)]
        axis = max(len(self.shape) - 1, 0)
        return CoverageFault(axis, [], [] if count else run, run if count else [])

    def _layers(self, numbers: Sequence[int], axis: int) -> list[_Layer]:
        """Return the layers of an axis.

        The boxes of a layer cover it exactly if their volumes add up to its own.
        """
        volumes = self.volumes[axis + 1]
        changes = dict.fromkeys((0, self.shape[axis]), (0, 0))  # of the count and the volume
        for number in numbers:
            start, stop = self.boxes[number]
            for edge, sign in ((start[axis], 1), (stop[axis], -1)):
                count, volume = changes.get(edge, (0, 0))
                changes[edge] = count + sign, volume + sign * volumes[number]
        layers, boxes, covered = [], 0, 0
        for run in pairwise(sorted(changes)):
            count, volume = changes[run[0]]
            boxes, covered = boxes + count, covered + volume
            layers.append(_Layer(run, boxes, (covered - volumes[-1]) % _PRIME == 0))
        return layers


def _volumes(boxes: Sequence[Bounds]) -> list[array[int]]:
    """Return the volumes of boxes from every axis on, modulo a prime.

    Every place on an axis gets a random number, which sizes are measured in. So volumes of boxes
    that overlap and leave gaps add up to the right one with a chance of less than 1 in 10**15.
    """
    volumes = [array("q", [1]) * len(boxes)]
    for axis in reversed(range(len(boxes[-1][0]))):
        places: defaultdict[int, int] = defaultdict(partial(randrange, _PRIME))
        sizes = (places[stop[axis]] - places[start[axis]] for start, stop in boxes)
        later = volumes[-1]
        volumes.append(array("q", (a * b % _PRIME for a, b in zip(sizes, later, strict=True))))
    return volumes[::-1]


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with adjacent ones joined."""
    joined: list[Run] = []
    for start, stop in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined

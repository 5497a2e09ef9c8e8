"""What can be done to arrays: one result each, its shape known before anything is read.

``run`` takes the library in hand, numpy or torch, and uses only what both spell alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.errors import LayoutError

Shape = tuple[int, ...]
Box = tuple[slice, ...]  # one slice an axis, with a start, a stop and no step


class Step:
    """One operation on arrays; a frozen value."""

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the result's shape; LayoutError if the shapes do not allow the step."""
        raise NotImplementedError

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return the result, a view where the step allows it."""
        raise NotImplementedError

    def keeps_rows(self, rank: int) -> bool:
        """Say whether the last axis stays last and whole, so that packed blocks can be moved."""
        return False

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs | None:
        """Return the boxes of the leaves that a box of the result needs, and the step to do then.

        None, as for a step of one's own, means all of every leaf. A step of None means that there
        is nothing left to do.
        """
        return None


# The step that is left, and the boxes it takes: each with the number of its leaf.
Needs = tuple[Step | None, list[tuple[int, Box]]]


@dataclass(frozen=True)
class Permute(Step):
    """The axes in another order, as ``numpy.transpose``; a view."""

    axes: tuple[int, ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, permuted."""
        return tuple(shapes[0][axis] for axis in self.axes)

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a view."""
        return library.moveaxis(arrays[0], self.axes, tuple(range(len(self.axes))))

    def keeps_rows(self, rank: int) -> bool:
        """Say whether the last axis stays last."""
        return self.axes[-1] == rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the box with its axes in the leaf's order."""
        inner = dict(zip(self.axes, box, strict=True))
        return self, [(0, tuple(inner[axis] for axis in range(len(box))))]


@dataclass(frozen=True)
class Reorder(Step):
    """One axis in the order of these indices, each used at most once; a copy."""

    axis: int
    order: tuple[int, ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, with as much along the axis as there are indices."""
        return _replaced(shapes[0], self.axis, len(self.order))

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        return arrays[0][(slice(None),) * self.axis + (list(self.order),)]

    def keeps_rows(self, rank: int) -> bool:
        """Say whether another axis than the last is reordered."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the range from the first to the last of the indices that are asked for."""
        order = self.order[box[self.axis]]
        first = min(order)
        inner = _with(box, self.axis, slice(first, max(order) + 1))
        return Reorder(self.axis, tuple(index - first for index in order)), [(0, inner)]


@dataclass(frozen=True)
class Cut(Step):
    """A range of one axis; a view."""

    axis: int
    start: int
    stop: int

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, narrower along the axis."""
        return _replaced(shapes[0], self.axis, self.stop - self.start)

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a view."""
        return arrays[0][(slice(None),) * self.axis + (slice(self.start, self.stop),)]

    def keeps_rows(self, rank: int) -> bool:
        """Say whether another axis than the last is cut."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the box in the uncut leaf, of which nothing is left to cut."""
        asked = box[self.axis]
        inner = slice(self.start + asked.start, self.start + asked.stop)
        return None, [(0, _with(box, self.axis, inner))]


@dataclass(frozen=True)
class Pick(Step):
    """One index of one axis, which disappears; a view."""

    axis: int
    index: int

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape without the axis."""
        return shapes[0][: self.axis] + shapes[0][self.axis + 1 :]

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a view, an array even where no axis is left."""
        return library.moveaxis(arrays[0], self.axis, 0)[self.index, ...]

    def keeps_rows(self, rank: int) -> bool:
        """Say whether another axis than the last is picked from."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the box at the one index of the axis."""
        chosen = slice(self.index, self.index + 1)
        return Pick(self.axis, 0), [(0, (*box[: self.axis], chosen, *box[self.axis :]))]


@dataclass(frozen=True)
class Join(Step):
    """Arrays end to end along one axis; a copy."""

    axis: int

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the joined shape; LayoutError unless all other axes agree."""
        if len({_replaced(shape, self.axis, 0) for shape in shapes}) > 1:
            raise LayoutError(f"shapes {_listed(shapes)} cannot be joined along axis {self.axis}")
        return _replaced(shapes[0], self.axis, sum(shape[self.axis] for shape in shapes))

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        return library.concatenate(tuple(arrays), self.axis)

    def keeps_rows(self, rank: int) -> bool:
        """Say whether another axis than the last grows."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return a box of each leaf that the range along the axis reaches into."""
        wanted, start, boxes = box[self.axis], 0, []
        for number, shape in enumerate(shapes):
            stop = start + shape[self.axis]
            first, last = max(start, wanted.start), min(stop, wanted.stop)
            if first < last:
                boxes.append((number, _with(box, self.axis, slice(first - start, last - start))))
            start = stop
        return self, boxes


@dataclass(frozen=True)
class Pile(Step):
    """Arrays of one shape along a new axis; a copy."""

    axis: int

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape with the new axis; LayoutError unless all shapes are equal."""
        if len(set(shapes)) > 1:
            raise LayoutError(f"shapes {_listed(shapes)} differ and cannot be stacked")
        if self.axis > len(shapes[0]):
            raise LayoutError(f"shape {shapes[0]} has no place for a new axis {self.axis}")
        return (*shapes[0][: self.axis], len(shapes), *shapes[0][self.axis :])

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        return library.stack(tuple(arrays), self.axis)

    def keeps_rows(self, rank: int) -> bool:
        """Say whether the new axis stands before the last."""
        return self.axis < rank

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the same box of each leaf that is asked for."""
        chosen, inner = box[self.axis], (*box[: self.axis], *box[self.axis + 1 :])
        return self, [(number, inner) for number in range(chosen.start, chosen.stop)]


@dataclass(frozen=True)
class Shift(Step):
    """A number added to every element, rounded to the array's own dtype; a copy."""

    by: float

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, unchanged."""
        return shapes[0]

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy of the same dtype."""
        array = arrays[0]
        # numpy turns a 0-d sum into a scalar, and ml_dtypes has no common dtype with a Python one.
        return library.asarray(array + library.asarray(self.by, dtype=array.dtype))

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needs:
        """Return the same box."""
        return self, [(0, box)]


def _replaced(shape: Shape, axis: int, extent: int) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(str(shape) for shape in dict.fromkeys(shapes))


def _with(box: Box, axis: int, each: slice) -> Box:
    return (*box[:axis], each, *box[axis + 1 :])

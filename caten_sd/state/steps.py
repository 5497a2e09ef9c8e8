"""Steps: operations on arrays whose result has a shape that is known before anything is read.

``run`` takes the library, numpy or torch, and calls only what both spell alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.errors import LayoutError

Shape = tuple[int, ...]
Box = tuple[slice, ...]  # one slice for each axis, with a start, a stop and no step


class Step:
    """One operation on arrays; a frozen value."""

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the result's shape; LayoutError if the inputs' shapes do not allow the step."""
        raise NotImplementedError

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return the result, as a view where the step allows it."""
        raise NotImplementedError

    def keeps_rows(self, rank: int) -> bool:
        """Return whether rows stay complete along the last axis, so that packed blocks can move."""
        return False

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed | None:
        """Return the boxes of the inputs that a box of the result needs, and the step for them.

        None, the default, means all of every input. A step of None means that the box is ready.
        """
        return None


# The step, and its boxes, each with the number of its input.
Needed = tuple[Step | None, list[tuple[int, Box]]]


@dataclass(frozen=True)
class Permute(Step):
    """The axes in another order, as ``numpy.transpose`` does it; a view."""

    axes: tuple[int, ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, permuted."""
        return tuple(shapes[0][axis] for axis in self.axes)

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a view."""
        return library.moveaxis(arrays[0], self.axes, tuple(range(len(self.axes))))

    def keeps_rows(self, rank: int) -> bool:
        """Return whether the last axis stays last."""
        return self.axes[-1] == rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the box with its axes permuted back."""
        inner = dict(zip(self.axes, box, strict=True))
        return self, [(0, tuple(inner[axis] for axis in range(len(box))))]


@dataclass(frozen=True)
class Reorder(Step):
    """One axis in the order of these indices, each used at most once; a copy."""

    axis: int
    order: tuple[int, ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, with one element along the axis for each index."""
        return _replaced(shapes[0], self.axis, len(self.order))

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        return arrays[0][(slice(None),) * self.axis + (list(self.order),)]

    def keeps_rows(self, rank: int) -> bool:
        """Return whether the reordered axis is not the last."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the range of indices that the box takes, to be reordered within it."""
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
        """Return whether the cut axis is not the last."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the box, moved to where the range starts."""
        each = box[self.axis]
        inner = slice(self.start + each.start, self.start + each.stop)
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
        """Return a view, which is an array even if no axis is left."""
        return library.moveaxis(arrays[0], self.axis, 0)[self.index, ...]

    def keeps_rows(self, rank: int) -> bool:
        """Return whether the axis is not the last."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the box at this index."""
        chosen = slice(self.index, self.index + 1)
        return Pick(self.axis, 0), [(0, (*box[: self.axis], chosen, *box[self.axis :]))]


@dataclass(frozen=True)
class Join(Step):
    """Arrays end to end along one axis; a copy."""

    axis: int

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the joined shape; LayoutError unless all have the axis, and all others agree."""
        if short := [shape for shape in shapes if self.axis >= len(shape)]:
            raise LayoutError(f"shape {short[0]} has no axis {self.axis} to be joined along")
        if len({_replaced(shape, self.axis, 0) for shape in shapes}) > 1:
            raise LayoutError(f"shapes {_listed(shapes)} cannot be joined along axis {self.axis}")
        return _replaced(shapes[0], self.axis, sum(shape[self.axis] for shape in shapes))

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        return library.concatenate(tuple(arrays), self.axis)

    def keeps_rows(self, rank: int) -> bool:
        """Return whether the axis that grows is not the last."""
        return self.axis != rank - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return a box of each input that overlaps it, to be joined."""
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
        """Return whether the new axis comes before the last."""
        return self.axis < rank

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the same box of each chosen input, to be stacked."""
        chosen, inner = box[self.axis], (*box[: self.axis], *box[self.axis + 1 :])
        return self, [(number, inner) for number in range(chosen.start, chosen.stop)]


def _replaced(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _with(box: Box, axis: int, each: slice) -> Box:
    return (*box[:axis], each, *box[axis + 1 :])


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(str(shape) for shape in dict.fromkeys(shapes))

"""What can be done to arrays: one result each, its shape known before anything is read.

``run`` takes the library in hand, numpy or torch, and uses only what both spell alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.dispatch.generic import generic
from caten_sd.errors import LayoutError

Shape = tuple[int, ...]


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


def _replaced(shape: Shape, axis: int, extent: int) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(str(shape) for shape in dict.fromkeys(shapes))


Box = tuple[slice, ...]  # one slice an axis, with a start, a stop and no step


Needs = tuple[Step | None, list[tuple[int, Box]]]


def _length(each: slice) -> int:
    return int(each.stop - each.start)


@generic
def needed(step: Any, shapes: Any, box: Any, /) -> Needs | None:
    """Return which boxes of which leaves a box of a step's result needs, and the step to do then.

    None, as for a step that has no method here, means that it needs all of them; a step of None
    that there is nothing left to do.
    """
    raise NotImplementedError


@needed.register(Step)
def _all_of_them(step: Step, shapes: Sequence[Shape], box: Box, /) -> None:
    return None


@needed.register(Permute)
def _for_permute(step: Permute, shapes: Sequence[Shape], box: Box, /) -> Needs:
    inner = dict(zip(step.axes, box, strict=True))
    return step, [(0, tuple(inner[axis] for axis in range(len(box))))]


@needed.register(Reorder)
def _for_reorder(step: Reorder, shapes: Sequence[Shape], box: Box, /) -> Needs:
    order = step.order[box[step.axis]]
    first = min(order)
    inner = _with(box, step.axis, slice(first, max(order) + 1))
    return Reorder(step.axis, tuple(index - first for index in order)), [(0, inner)]


@needed.register(Cut)
def _for_cut(step: Cut, shapes: Sequence[Shape], box: Box, /) -> Needs:
    each = box[step.axis]
    inner = slice(step.start + each.start, step.start + each.stop)
    return None, [(0, _with(box, step.axis, inner))]


@needed.register(Pick)
def _for_pick(step: Pick, shapes: Sequence[Shape], box: Box, /) -> Needs:
    chosen = slice(step.index, step.index + 1)
    return Pick(step.axis, 0), [(0, (*box[: step.axis], chosen, *box[step.axis :]))]


@needed.register(Join)
def _for_join(step: Join, shapes: Sequence[Shape], box: Box, /) -> Needs:
    wanted, start, boxes = box[step.axis], 0, []
    for number, shape in enumerate(shapes):
        stop = start + shape[step.axis]
        first, last = max(start, wanted.start), min(stop, wanted.stop)
        if first < last:
            boxes.append((number, _with(box, step.axis, slice(first - start, last - start))))
        start = stop
    return step, boxes


@needed.register(Pile)
def _for_pile(step: Pile, shapes: Sequence[Shape], box: Box, /) -> Needs:
    chosen, inner = box[step.axis], (*box[: step.axis], *box[step.axis + 1 :])
    return step, [(number, inner) for number in range(chosen.start, chosen.stop)]


@needed.register(Shift)
def _for_shift(step: Shift, shapes: Sequence[Shape], box: Box, /) -> Needs:
    return step, [(0, box)]


def _with(box: Box, axis: int, each: slice) -> Box:
    return (*box[:axis], each, *box[axis + 1 :])

"""Arrange: the step that splits axes into factors, reorders these, and joins them to axes again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.state.steps import Box, Needed, Shape, Step

REST = -1  # the factor that the others of its axis leave


@dataclass(frozen=True)
class Arrange(Step):
    """Axes split into factors, the factors in another order, and joined; a copy where it must be.

    ``split`` has the factors of each axis; one of an axis may be -1. ``order`` is that of all
    factors in the result, and ``joined`` says how many of them each of its axes has.

    >>> Arrange(((2, -1), (-1,)), (1, 0, 2), (2, 1)).shape([(6, 5)])
    (6, 5)
    """

    split: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    joined: tuple[int, ...]

    def factors(self, shape: Shape) -> tuple[tuple[int, ...], ...]:
        """Return the factors of each axis as numbers; LayoutError if the shape does not have them.

        >>> Arrange(((2, -1), (-1,)), (1, 0, 2), (2, 1)).factors((6, 5))
        ((2, 3), (5,))
        """
        if len(shape) != len(self.split):
            raise LayoutError(f"a tensor of shape {shape} does not have {len(self.split)} axes")
        return tuple(
            _whole(split, extent, shape) for split, extent in zip(self.split, shape, strict=True)
        )

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape after the factors are joined."""
        flat = [size for each in self.factors(shapes[0]) for size in each]
        return tuple(map(math.prod, self._by_axis([flat[at] for at in self.order])))

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a view where the factors allow it."""
        array = arrays[0]
        shape = tuple(map(int, array.shape))
        flat = [size for each in self.factors(shape) for size in each]
        moved = library.moveaxis(array.reshape(flat), self.order, tuple(range(len(flat))))
        return moved.reshape(self.shape([shape]))

    def keeps_rows(self, rank: int) -> bool:
        """Return whether the last axis stays as it is and last."""
        alone = self.split[-1:] == ((REST,),) and self.joined[-1:] == (1,)
        return alone and self.order[-1] == len(self.order) - 1

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed | None:
        """Return the same range of the first axis, where that is the first of the result too."""
        first = self.split[:1] == ((REST,),) and self.joined[:1] == (1,) and self.order[0] == 0
        full = tuple(slice(0, n) for n in self.shape(shapes))
        if not first or box[1:] != full[1:]:
            return None
        return self, [(0, (box[0], *(slice(0, n) for n in shapes[0][1:])))]

    def undone(self, shape: Shape) -> Arrange:
        """Return the step that gives a tensor of this shape back."""
        factors = self.factors(shape)
        flat = [size for each in factors for size in each]
        split = self._by_axis([flat[at] for at in self.order])
        order = tuple(sorted(range(len(flat)), key=self.order.__getitem__))
        return Arrange(tuple(map(tuple, split)), order, tuple(map(len, factors)))

    def undoes(self, last: Arrange, shape: Shape) -> bool:
        """Return whether it gives the tensor of this shape back that was arranged by ``last``."""
        try:
            split = self.factors(last.shape([shape]))
        except LayoutError:
            return False
        return Arrange(split, self.order, self.joined) == last.undone(shape)

    def _by_axis(self, sizes: Sequence[int]) -> list[Sequence[int]]:
        ends = [*itertools.accumulate(self.joined, initial=0)]
        return [sizes[start:stop] for start, stop in itertools.pairwise(ends)]


def _whole(split: tuple[int, ...], extent: int, shape: Shape) -> tuple[int, ...]:
    known = math.prod(size for size in split if size != REST)
    if REST in split:
        if not known or extent % known:
            raise LayoutError(f"an axis of {extent} in shape {shape} is not a multiple of {known}")
        return tuple(extent // known if size == REST else size for size in split)
    if known != extent:
        raise LayoutError(f"an axis of {extent} in shape {shape} is not the product {known}")
    return split

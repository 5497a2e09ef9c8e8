"""Steps that make an axis longer by a value, or shorter and can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.state.steps import Cut, Shape, Step


@dataclass(frozen=True)
class Padded(Step):
    """Elements of one value before and after those of an axis; a copy."""

    axis: int
    before: int
    after: int
    value: float = 0.0

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, longer along the axis."""
        shape = list(shapes[0])
        shape[self.axis] += self.before + self.after
        return tuple(shape)

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy."""
        array = arrays[0]
        ends = []
        for count in (self.before, self.after):
            shape = (*array.shape[: self.axis], count, *array.shape[self.axis + 1 :])
            ends.append(library.full(shape, self.value, dtype=array.dtype))
        return library.concatenate((ends[0], array, ends[1]), self.axis)


@dataclass(frozen=True)
class Trimmed(Cut):
    """A range of an axis that remembers the rest: ``value`` where nothing else is known."""

    value: float = 0.0

    def undoes(self, last: Step, shape: Shape) -> bool:
        """Return whether it cuts off what the other step has added to a tensor of this shape."""
        if not isinstance(last, Padded) or self.axis != last.axis:
            return False
        return (self.start, self.stop) == (last.before, last.before + shape[self.axis])

"""Steps that compute new values element by element, which floats alone have and which may round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.state.steps import Box, Needed, Shape, Step


@dataclass(frozen=True)
class ValueStep(Step):
    """A step on values; a copy of the same shape and dtype.

    What has less precision than float32 is computed in float32, and rounded once.
    """

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape, unchanged."""
        return shapes[0]

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return a copy of the same dtype."""
        array = arrays[0]
        wide = array if array.dtype.itemsize >= 4 else _cast(library, array, library.float32)
        # numpy turns a 0-d result into a scalar.
        return _cast(library, library.asarray(self.values(library, wide)), array.dtype)

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the same box."""
        return self, [(0, box)]

    def values(self, library: Any, array: Any) -> Any:
        """Return the new values of an array."""
        raise NotImplementedError

    def undoes(self, last: Step) -> bool:
        """Return whether it gives back what the other step was done to."""
        raise NotImplementedError

    def refusal(self, dtype: str) -> str:
        """Return why values of this dtype, which are not floats, cannot be computed."""
        return f"new values are computed of floats only, and the tensor is {dtype}"


@dataclass(frozen=True)
class Shift(ValueStep):
    """A number added to every element."""

    by: float

    def values(self, library: Any, array: Any) -> Any:
        """Return the sums."""
        return array + library.asarray(self.by, dtype=array.dtype)

    def undoes(self, last: Step) -> bool:
        """Return whether the other one adds the opposite."""
        return isinstance(last, Shift) and self.by == -last.by

    def refusal(self, dtype: str) -> str:
        """Return why the number cannot be added."""
        return f"{self.by:+g} can be added to floats only, and the tensor is {dtype}"


@dataclass(frozen=True)
class Times(ValueStep):
    """Every element times a number, or divided by it."""

    by: float
    divided: bool = False

    def values(self, library: Any, array: Any) -> Any:
        """Return the products."""
        number = library.asarray(self.by, dtype=array.dtype)
        return array / number if self.divided else array * number

    def undoes(self, last: Step) -> bool:
        """Return whether the other one divides by what this one multiplies by, or the reverse."""
        return last == Times(self.by, not self.divided)


@dataclass(frozen=True)
class NegatedExponential(ValueStep):
    """-exp(x) of every element x, or back: log(-x)."""

    back: bool = False

    def values(self, library: Any, array: Any) -> Any:
        """Return the exponentials, negated, or the logarithms."""
        return library.log(-array) if self.back else -library.exp(array)

    def undoes(self, last: Step) -> bool:
        """Return whether one is the inverse of the other."""
        return last == NegatedExponential(not self.back)


@dataclass(frozen=True)
class Added(ValueStep):
    """The sum of two arrays of one shape."""

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of both; LayoutError if they differ."""
        one, other = shapes
        if one != other:
            raise LayoutError(f"tensors of shapes {one} and {other} cannot be added")
        return one

    def run(self, library: Any, arrays: Sequence[Any]) -> Any:
        """Return the sums, rounded once."""
        dtype = arrays[0].dtype
        wide = [
            _cast(library, each, library.float32) if dtype.itemsize < 4 else each for each in arrays
        ]
        return _cast(library, library.asarray(wide[0] + wide[1]), dtype)

    def needed(self, shapes: Sequence[Shape], box: Box) -> Needed:
        """Return the same box of both."""
        return self, [(0, box), (1, box)]

    def undoes(self, last: Step) -> bool:
        """Return False: what was added cannot be told from a sum."""
        return False


def _cast(library: Any, array: Any, dtype: Any) -> Any:
    return array.to(dtype) if hasattr(array, "to") else array.astype(dtype)

"""What a layout does to tensors besides renaming them; every operation has an inverse.

An operation is declared in the direction from the canonical tensors to those of the layout. It
works on an operand: the leaves that one rule takes, each at its coordinates. Coordinates are the
position of the leaf's name in the row's tuple of names, and the indices that are stacked. Sizes are
numbers, or names that ``bind`` looks up.

See assembly.py for operations that join and split, heads.py for those on attention heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.state.derived import derive
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.steps import Permute, Shape
from caten_sd.state.value_steps import NegatedExponential, Shift, Times
from caten_sd.wording import a_or_an

# The label of a position in a row's tuple of names; no capture can have this name.
POSITION = "(position)"

Coordinates = tuple[tuple[str, int], ...]  # (label, index), sorted by label
Operand = dict[Coordinates, Any]
Labels = Mapping[str, int | None]  # label -> how many leaves it counts, where that is declared


class Operation:
    """What is done to the canonical tensors; a frozen value. Subclass it for one of your own."""

    def inverse(self) -> Operation:
        """Return the operation that gives the canonical tensors back, within its tolerance."""
        raise NotImplementedError

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation with a number for every named size."""
        return self

    def labels(self, labels: Labels) -> Labels:
        """Return the labels of the result; LayoutError if the operation cannot take these."""
        return labels

    def apply(self, operand: Operand) -> Operand:
        """Return the resulting leaves, unread; LayoutError where a shape does not allow it."""
        return {at: self.leaf(leaf) for at, leaf in operand.items()}

    @property
    def tolerance(self) -> float:
        """How far a stored tensor may be off after the operation and its inverse; 0 if it is exact.

        It counts in the dtype's epsilon times the larger of 1 and the element's size.
        """
        return 0.0

    def leaf(self, leaf: Any) -> Any:
        """Return what one leaf becomes, for operations that take leaves one by one."""
        raise NotImplementedError


@dataclass(frozen=True)
class Identity(Operation):
    """The tensor as it is."""

    def inverse(self) -> Operation:
        """Return itself."""
        return self

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf."""
        return leaf


@checked_fields
@dataclass(frozen=True)
class Transpose(Operation):
    """The axes in another order, as ``numpy.transpose``; reversed if no axes are given.

    >>> Transpose((3, 2, 0, 1)).inverse()  # of a convolution kernel, HWIO to OIHW
    Transpose(axes=(2, 3, 1, 0))
    """

    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.axes is not None and sorted(self.axes) != list(range(len(self.axes))):
            raise LayoutError(
                f"axes {self.axes} are not an order of {len(self.axes)} axes; give each of 0 to "
                f"{len(self.axes) - 1} once"
            )

    def inverse(self) -> Operation:
        """Return the transpose that undoes this one."""
        return self if self.axes is None else Transpose(inverted(self.axes))

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf transposed."""
        shape = shape_of(leaf)
        axes = tuple(reversed(range(len(shape)))) if self.axes is None else self.axes
        if len(axes) != len(shape):
            raise LayoutError(f"a tensor of shape {shape} cannot be transposed by axes {axes}")
        return derive(Permute(axes), [leaf])


@checked_fields
@dataclass(frozen=True)
class Offset(Operation):
    """A number added to every element: +1 where the other layout stores a norm's weight minus one.

    An element far smaller than the offset loses digits once the sum is stored. The inverse is exact
    where the sum was exact or is not stored yet.
    """

    by: float

    def inverse(self) -> Operation:
        """Return the offset back."""
        return Offset(-self.by)

    @property
    def tolerance(self) -> float:
        """How far a stored tensor may be off after the operation and its inverse."""
        return 1.0 + abs(self.by)

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with the number added."""
        shape_of(leaf)
        return derive(Shift(float(self.by)), [leaf])


@checked_fields
@dataclass(frozen=True)
class Scale(Operation):
    """Every element times a number, as where a layout has a factor of the model in its weights.

    The inverse divides by it. It is exact for a product that is not stored, and for a power of 2
    unless a product is too small to be a normal number of the dtype.

    >>> Scale(12.0).inverse().inverse()
    Scale(by=12.0, undo=False)
    """

    by: float
    undo: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.by) or self.by == 0:
            raise LayoutError(f"a scale of {self.by} cannot be undone; give a number other than 0")

    def inverse(self) -> Operation:
        """Return the division by the number."""
        return replace(self, undo=not self.undo)

    @property
    def tolerance(self) -> float:
        """How far a stored tensor may be off after the operation and its inverse."""
        return 0.0 if abs(self.by) == 1.0 else 2.0  # a power of 2 loses bits of tiny elements

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with its elements multiplied."""
        shape_of(leaf)
        return derive(Times(float(self.by), self.undo), [leaf])


@dataclass(frozen=True)
class NegExp(Operation):
    """-exp(x) of every element x: what GGUF stores for the ``A_log`` of a state space model.

    The inverse is log(-x), so there is none for x of 0 or more, which no such model has.
    """

    undo: bool = False

    def inverse(self) -> Operation:
        """Return the logarithm of the negated elements."""
        return NegExp(not self.undo)

    @property
    def tolerance(self) -> float:
        """How far a stored tensor may be off after the operation and its inverse."""
        return 4.0

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with its elements exponentiated and negated."""
        shape_of(leaf)
        return derive(NegatedExponential(self.undo), [leaf])


@dataclass(frozen=True, init=False)
class Chain(Operation):
    """Operations one after the other."""

    operations: tuple[Operation, ...]

    def __init__(self, *operations: Operation) -> None:
        object.__setattr__(self, "operations", operations)

    def inverse(self) -> Operation:
        """Return the inverses, last first."""
        return Chain(*(operation.inverse() for operation in reversed(self.operations)))

    def bind(self, lookup: Lookup) -> Operation:
        """Return the chain with a number for every named size."""
        return Chain(*(operation.bind(lookup) for operation in self.operations))

    @property
    def tolerance(self) -> float:
        """The sum of the tolerances of all operations."""
        return sum(operation.tolerance for operation in self.operations)

    def labels(self, labels: Labels) -> Labels:
        """Return the labels that are left after all operations."""
        for operation in self.operations:
            labels = operation.labels(labels)
        return labels

    def apply(self, operand: Operand) -> Operand:
        """Return what the last operation gives."""
        for operation in self.operations:
            operand = operation.apply(operand)
        return operand


def inverted(order: Sequence[int]) -> tuple[int, ...]:
    """Return the order that undoes an order.

    >>> inverted((2, 0, 1))
    (1, 2, 0)
    """
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def shape_of(leaf: Any) -> Shape:
    """Return the shape of a tensor; LayoutError if the value is not a tensor."""
    known = spec_or_none(leaf)
    if known is None:
        raise LayoutError(f"{a_or_an(type(leaf).__name__)} is not a tensor and can only be renamed")
    return known.shape


def extent_of(leaf: Any, axis: int) -> int:
    """Return the length of one axis; LayoutError if the tensor does not have the axis."""
    shape = shape_of(leaf)
    if axis >= len(shape):
        raise LayoutError(f"a tensor of shape {shape} has no axis {axis}")
    return shape[axis]

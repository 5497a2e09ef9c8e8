"""What lies between the layers of two frameworks beyond an order of axes: flips, sums of biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from caten_sd.errors import LayoutError
from caten_sd.mapping.constants import is_constant
from caten_sd.mapping.field_kinds import checked_fields
from caten_sd.mapping.operations import (
    POSITION,
    Labels,
    Operand,
    Operation,
    extent_of,
    shape_of,
)
from caten_sd.state.derived import derive
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.leaf import spec
from caten_sd.state.steps import Cut, Join, Reorder
from caten_sd.state.value_steps import Added


@checked_fields
@dataclass(frozen=True)
class Flip(Operation):
    """Axes from end to start, as a convolution's kernel lies where its transpose is meant.

    >>> Flip((2, 3)).inverse()
    Flip(axes=(2, 3))
    """

    axes: tuple[int, ...]

    def inverse(self) -> Operation:
        """Return itself."""
        return self

    def leaf(self, leaf: Any) -> Any:
        """Return the leaf with the axes flipped."""
        for axis in self.axes:
            leaf = derive(Reorder(axis, tuple(reversed(range(extent_of(leaf, axis))))), [leaf])
        return leaf


@dataclass(frozen=True)
class CountedOperation(Operation):
    """An operation from so many tensors to so many others, by their positions.

    ``said`` is what it does to the values that whoever reads the result should know, done and
    undone.
    """

    said: ClassVar[tuple[str, str]] = ("", "")

    undo: bool = False

    @property
    def counts(self) -> tuple[int, int]:
        """How many tensors it takes and gives, if it is not undone."""
        raise NotImplementedError

    def inverse(self) -> Operation:
        """Return the operation that gives the tensors back."""
        return replace(self, undo=not self.undo)

    def labels(self, labels: Labels) -> Labels:
        """Return the position of each result; LayoutError for another count of tensors."""
        taken, given = self.counts[::-1] if self.undo else self.counts
        if labels.get(POSITION, 1) != taken:
            raise LayoutError(
                f"the operation takes {taken} tensors and is given {labels.get(POSITION, 1)}"
            )
        return numbered_labels(labels, given)

    def apply(self, operand: Operand) -> Operand:
        """Return the results by position."""
        leaves = in_order(operand)
        return by_position(self.undone(leaves) if self.undo else self.done(leaves))

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return what the canonical tensors become."""
        raise NotImplementedError

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return canonical tensors that are the same function."""
        raise NotImplementedError


@dataclass(frozen=True)
class SumOfBiases(CountedOperation):
    """Two biases that are added in any case, as one; back, the first is zeros."""

    said: ClassVar[tuple[str, str]] = (
        "two biases are added",
        "zeros are filled in for the bias of the inputs",
    )

    @property
    def counts(self) -> tuple[int, int]:
        """Two tensors become one."""
        return 2, 1

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the sum."""
        return [_sum(*leaves)]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return zeros and the bias."""
        return [zeros_like(leaves[0]), leaves[0]]


@dataclass(frozen=True)
class GruBiases(CountedOperation):
    """The biases of a GRU as one, and those of the new gate in the hidden state, a reset's factor.

    The others are added in any case; back, those of the hidden state are zeros.
    """

    said: ClassVar[tuple[str, str]] = (
        "the biases of the reset and update gates are added",
        "zeros are filled in for the biases of the reset and update gates in the hidden state",
    )

    @property
    def counts(self) -> tuple[int, int]:
        """Two tensors become two."""
        return 2, 2

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the sums with the new gate's bias, and its bias in the hidden state."""
        inputs, hidden = map(_thirds, leaves)
        return [_join([*map(_sum, inputs[:2], hidden[:2]), inputs[2]]), hidden[2]]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the biases as those of the inputs, and zeros before the other one."""
        joined, new = leaves
        zeros = zeros_like(new)
        return [joined, _join([zeros, zeros, new])]


@dataclass(frozen=True)
class FirstSplit(CountedOperation):
    """The first of two tensors cut into equal thirds, and the second as it is."""

    @property
    def counts(self) -> tuple[int, int]:
        """Two tensors become four."""
        return 2, 4

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the thirds and the second."""
        return [*_thirds(leaves[0]), leaves[1]]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the thirds as one, and the last."""
        return [_join(leaves[:3]), leaves[3]]


@dataclass(frozen=True)
class WithoutZeros(CountedOperation):
    """The first of two tensors, of which the second, as long as a third of it, must be zeros."""

    said: ClassVar[tuple[str, str]] = (
        "the bias of the new gate in the hidden state is zeros and is left out",
        "zeros are filled in for the bias of the new gate in the hidden state",
    )

    @property
    def counts(self) -> tuple[int, int]:
        """Two tensors become one."""
        return 2, 1

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the first; LayoutError if the second is not zeros."""
        require_constant(leaves[1], 0.0, "the bias of the new gate in the hidden state")
        return [leaves[0]]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the tensor and zeros."""
        return [leaves[0], zeros_like(_thirds(leaves[0])[0])]


@dataclass(frozen=True)
class WithConstant(CountedOperation):
    """A tensor with a further one, a single element of a dtype that has to be a value."""

    said: ClassVar[tuple[str, str]] = ("a single element is filled in", "")

    value: float = 0.0
    dtype: str = "int32"
    what: str = "it"

    @property
    def counts(self) -> tuple[int, int]:
        """One tensor becomes two."""
        return 1, 2

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the tensor and the constant."""
        import numpy as np

        return [leaves[0], np.full((), self.value, self.dtype)]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return the tensor; LayoutError if the other is not the constant."""
        require_constant(leaves[1], self.value, self.what)
        return [leaves[0]]


def in_order(operand: Operand) -> list[Any]:
    """Return the leaves of an operand in the order of their positions."""
    return [operand[at] for at in sorted(operand)]


def by_position(leaves: Sequence[Any]) -> Operand:
    """Return leaves as an operand, in which a single one has no position."""
    if len(leaves) == 1:
        return {(): leaves[0]}
    return {((POSITION, number),): leaf for number, leaf in enumerate(leaves)}


def numbered_labels(labels: Labels, count: int) -> Labels:
    """Return labels with the position of so many tensors, of which one has none."""
    left = {name: known for name, known in labels.items() if name != POSITION}
    return left if count == 1 else {**left, POSITION: count}


def zeros_like(leaf: Any) -> Any:
    """Return zeros in the shape and the dtype of a leaf."""
    import numpy as np

    return np.zeros(shape_of(leaf), numpy_dtype(spec(leaf).dtype))


def require_constant(leaf: Any, value: float, what: str) -> None:
    """LayoutError if a part that the other world lacks is not what makes no difference."""
    if not is_constant(leaf, value):
        raise LayoutError(
            f"{what} is not {value:g} throughout, and a layer of the other world has none; give "
            f"that layer one"
        )


def _sum(one: Any, other: Any) -> Any:
    return derive(Added(), [one, other])


def _join(leaves: Sequence[Any]) -> Any:
    return derive(Join(0), list(leaves))


def _thirds(leaf: Any) -> list[Any]:
    length = extent_of(leaf, 0)
    if length % 3:
        raise LayoutError(f"a bias of {length} elements is not that of three gates")
    size = length // 3
    return [derive(Cut(0, size * gate, size * (gate + 1)), [leaf]) for gate in range(3)]

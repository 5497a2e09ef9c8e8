"""A weight plus products of two narrow matrices, computed when it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from caten_sd.state.derived import indexed
from caten_sd.state.dtype import DTYPES, numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.row_leaf import RowLeaf


@attrs.frozen
class LowRank:
    """The product up @ down times a scale: (outputs, rank, ...) and (rank, inputs, ...).

    Where ``turned``, the weight has its inputs first, as an embedding and the Conv1D of GPT-2.
    Where ``rounded``, the product is rounded to the dtype of the weight before the sum is, as peft
    does for an embedding and for a tensor that is not of a linear layer.
    """

    down: Any
    up: Any
    scale: float
    turned: bool = False
    rounded: bool = False

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether the product has the elements of a weight of this shape, in its order.

        Axes of length 1 may be missing on either side.
        """
        down, up = spec(self.down).shape, spec(self.up).shape
        if len(down) < 2 or len(up) < 2 or down[0] != up[1] or math.prod(up[2:]) != 1:
            return False
        outputs, inputs = up[:1], down[1:]
        return _without_ones((*inputs, *outputs) if self.turned else (*outputs, *inputs)) == (
            _without_ones(shape)
        )

    may_fit = fits

    def origins(self) -> tuple[Any, ...]:
        """Return the two matrices."""
        return (self.down, self.up)

    def rows(self, start: int, stop: int) -> LowRank:
        """Return the product for some rows of the weight."""
        if self.turned:
            down = indexed(self.down, (slice(None), slice(start, stop)))
            return attrs.evolve(self, down=down)
        return attrs.evolve(self, up=indexed(self.up, slice(start, stop)))

    def numpy(self, shape: Sequence[int]) -> Any:
        """Return the product in float32, in the shape of the weight."""
        import numpy as np

        down, up = (as_array(Numpy(), each).astype(np.float32) for each in (self.down, self.up))
        product = up.reshape(up.shape[:2]) @ down.reshape(len(down), -1)
        product *= np.float32(self.scale)
        return (product.T if self.turned else product).reshape(shape)


@attrs.frozen
class StackedLowRank:
    """For each expert the product up @ down times a scale, for a weight that has them stacked.

    ``down`` has ``rank`` rows an expert, one expert after the other, and ``up`` the experts of each
    column of the rank next to one another. The weight has the outputs before the inputs, or after
    them where ``turned``. The product is rounded to the dtype of the weight before the sum is.
    """

    down: Any
    up: Any
    rank: int
    scale: float
    turned: bool = False
    first: int = 0
    rounded: ClassVar[bool] = True

    def turns(self, shape: Sequence[int]) -> list[bool]:
        """Return for which values of ``turned`` the products have this shape."""
        down, up = spec(self.down).shape, spec(self.up).shape
        if len(shape) != 3 or len(down) != 2 or len(up) != 2 or down[0] != up[1]:
            return []
        if shape[0] * self.rank != down[0]:
            return []
        sides = ((up[0], down[1]), (down[1], up[0]))
        return [turned for turned in (False, True) if tuple(shape[1:]) == sides[turned]]

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether the products have this shape."""
        return self.turned in self.turns(shape)

    def may_fit(self, shape: Sequence[int]) -> bool:
        """Return whether the products have this shape, turned or not."""
        return bool(self.turns(shape))

    def origins(self) -> tuple[Any, ...]:
        """Return the two matrices."""
        return (self.down, self.up)

    def rows(self, start: int, stop: int) -> StackedLowRank:
        """Return the products of some experts; how many is told by the shape that is asked for."""
        return attrs.evolve(self, first=self.first + start)

    def numpy(self, shape: Sequence[int]) -> Any:
        """Return the products in float32, of as many experts as the shape has."""
        import numpy as np

        down, up = (as_array(Numpy(), each).astype(np.float32) for each in (self.down, self.up))
        experts = slice(self.first, self.first + shape[0])
        down = down.reshape(-1, self.rank, down.shape[1])[experts]
        up = up.reshape(len(up), self.rank, -1)[:, :, experts].transpose(2, 0, 1)
        product = up @ down
        product *= np.float32(self.scale)
        return product.swapaxes(1, 2) if self.turned else product


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [length for length in shape if length != 1]


@attrs.frozen
class Multiple:
    """A leaf times a number, such as the bias of a pair."""

    leaf: Any
    scale: float
    rounded: ClassVar[bool] = False

    def origins(self) -> tuple[Any, ...]:
        """Return the leaf."""
        return (self.leaf,)

    def rows(self, start: int, stop: int) -> Multiple:
        """Return some elements."""
        return attrs.evolve(self, leaf=indexed(self.leaf, slice(start, stop)))

    def numpy(self, shape: Sequence[int]) -> Any:
        """Return the product in float32."""
        import numpy as np

        array = as_array(Numpy(), self.leaf).astype(np.float32)
        return (array * np.float32(self.scale)).reshape(shape)


Term = LowRank | StackedLowRank | Multiple


class WeightSum(RowLeaf):
    """A leaf of floats plus terms; the sum is rounded to the dtype of the leaf, or is ``wide``."""

    __slots__ = ("dtype", "leaf", "shape", "terms", "wide")

    def __init__(self, leaf: Any, terms: Sequence[Term], *, wide: bool = False) -> None:
        self.leaf, self.terms, self.wide = leaf, tuple(terms), wide
        self.shape, self.dtype = spec(leaf)[:2]
        if wide and self.dtype.itemsize < DTYPES["float32"].itemsize:
            self.dtype = DTYPES["float32"]

    def origins(self) -> tuple[Any, ...]:
        """Return the leaf and those of the terms."""
        return (self.leaf, *(each for term in self.terms for each in term.origins()))

    def rows(self, start: int, stop: int) -> WeightSum:
        """Return some rows of the sum."""
        leaf = indexed(self.leaf, slice(start, stop))
        return WeightSum(leaf, [term.rows(start, stop) for term in self.terms], wide=self.wide)


@as_array.register(Numpy, WeightSum)
def _by_numpy(kind: Numpy, leaf: WeightSum, /) -> Any:
    import numpy as np

    array = as_array(kind, leaf.leaf)
    total = array.astype(np.promote_types(array.dtype, np.float32))
    for term in leaf.terms:
        values = term.numpy(leaf.shape)
        total += values.astype(array.dtype) if term.rounded else values
    return total.astype(numpy_dtype(leaf.dtype), copy=False)

"""A weight plus a product, whose rows or columns then get other norms, as those of DoRA.

The result is m / ||W + s B A|| * (W + s B A), as peft's merge_and_unload computes it: the sum, the
norms and the quotients in float32, and one rounding to the dtype of W. peft sums the squares in
float32, in the order of its processor; here they are summed in float64, so that a norm is rounded
once. A norm of 0 gives NaN, as in peft.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import attrs

from caten_sd.state.derived import indexed
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.low_rank import Term, WeightSum
from caten_sd.state.parts import parts
from caten_sd.state.row_leaf import RowLeaf


@attrs.frozen
class Magnitudes:
    """The norms to have along an axis of a weight, and what is added to those that it has."""

    leaf: Any  # all of its axes but one are of length 1
    axis: int
    epsilon: float = 0.0

    def rows(self, start: int, stop: int) -> Magnitudes:
        """Return the magnitudes for some rows of the weight."""
        shape = spec(self.leaf).shape
        along = shape.index(max(shape))
        index = tuple(slice(start, stop) if at == along else 0 for at in range(len(shape)))
        return attrs.evolve(self, leaf=indexed(self.leaf, index))

    def factors(self, norms: Any) -> Any:
        """Return what the rows or columns of these norms are multiplied by."""
        import numpy as np

        values = as_array(Numpy(), self.leaf).astype(np.float32).reshape(-1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return values / (norms + norms.dtype.type(self.epsilon))


class WholeNorms:
    """The norms of a sum along an axis that is not its first: made of all rows, once."""

    def __init__(self, total: WeightSum, axis: int) -> None:
        self._total, self._axis = total, axis
        self._lock = threading.Lock()
        self._norms: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return WholeNorms, (self._total, self._axis)  # a lock is of one process

    def __call__(self) -> Any:
        """Return the norms."""
        with self._lock:
            if self._norms is None:
                self._norms = self._made()
            return self._norms

    def _made(self) -> Any:
        import numpy as np

        shape, axis = self._total.shape, self._axis
        squares = np.zeros(shape[axis])
        inner, done = math.prod(shape[axis + 1 :]), 0
        for part in parts(self._total):
            array = as_array(Numpy(), part)
            first = done // max(inner, 1) % max(shape[axis], 1)
            squares[first : first + array.shape[axis]] += _squares(array, axis)
            done += array.size
        return np.sqrt(squares).astype(numpy_dtype(self._total.dtype))


class RescaledSum(RowLeaf):
    """A leaf of floats plus a product, with the norms that magnitudes state."""

    __slots__ = ("dtype", "magnitudes", "norms", "shape", "total")

    def __init__(
        self, leaf: Any, term: Term, magnitudes: Magnitudes, norms: WholeNorms | None = None
    ) -> None:
        self.shape, self.dtype = spec(leaf)[:2]
        self.magnitudes, self.total = magnitudes, WeightSum(leaf, [term], wide=True)
        self.norms = norms
        if magnitudes.axis and norms is None:
            self.norms = WholeNorms(self.total, magnitudes.axis)

    def origins(self) -> tuple[Any, ...]:
        """Return the leaves of the sum, and the magnitudes."""
        return (*self.total.origins(), self.magnitudes.leaf)

    def rows(self, start: int, stop: int) -> RescaledSum:
        """Return some rows; the norms of columns stay those of all rows."""
        total = self.total.rows(start, stop)
        own = self.magnitudes if self.norms else self.magnitudes.rows(start, stop)
        return RescaledSum(total.leaf, total.terms[0], own, self.norms)


def _squares(array: Any, axis: int) -> Any:
    """Return the sums of squares along an axis, in float64."""
    import numpy as np

    before, after = array.shape[:axis], array.shape[axis + 1 :]
    flat = array.reshape(math.prod(before), array.shape[axis], math.prod(after))
    return np.einsum("iax,iax->a", flat, flat, dtype=np.float64)


@as_array.register(Numpy, RescaledSum)
def _by_numpy(kind: Numpy, leaf: RescaledSum, /) -> Any:
    import numpy as np

    total, axis = as_array(kind, leaf.total), leaf.magnitudes.axis
    norms = leaf.norms() if leaf.norms else np.sqrt(_squares(total, axis)).astype(total.dtype)
    factors = leaf.magnitudes.factors(norms)
    with np.errstate(invalid="ignore"):
        total *= factors.reshape([-1 if at == axis else 1 for at in range(total.ndim)])
    return total.astype(numpy_dtype(leaf.dtype), copy=False)

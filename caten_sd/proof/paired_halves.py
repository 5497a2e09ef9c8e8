"""Floats of 16 bits, of two sides at once, made wider in the memory that they were read into."""

from __future__ import annotations

import functools
import math
from typing import Any

from caten_sd.proof.wider_blocks import are_denormals_kept

_UPPER = -0x10000  # the bits of an int32 that are the second of two halves
_KEPT = -0x7000_2000  # the bits of a half that was moved to the place of a float's
_SCALE = 2.0**112  # between the exponents of both
_NOT_FINITE = 2.0**16  # which no float16 has


class PairedHalves:
    """A part of ``room`` for halves of two sides, which become floats where they are.

    That takes a third of the time of a cast. The floats of a side are in another order, the first
    ones of all pairs before the second ones, and an odd count has a zero more. An infinity or a
    NaN of float16 becomes a number whose absolute value is ``below`` or more.

    >>> import numpy
    >>> pairs = PairedHalves(numpy.empty(8, "f4"), 3, numpy.dtype("f2"))
    >>> pairs.halves[0][:], pairs.halves[1][:] = [1, 2, -3], [4, 5, 6]
    >>> [side.tolist() for side in pairs.floats()]
    [[1.0, -3.0, 2.0, 0.0], [4.0, 6.0, 5.0, 0.0]]
    """

    def __init__(self, room: Any, count: int, dtype: Any) -> None:
        import numpy as np

        even = count + count % 2
        self._floats = room[: 2 * even]
        self._sides = self._floats.reshape(2, even)
        halves = [side[even // 2 :].view(dtype) for side in self._sides]
        for side in halves:
            side[count:] = 0
        self.halves = [side[:count] for side in halves]
        self._bits = self._floats.view(np.int32)
        # Those of both sides; the second ones lie where the halves do.
        self._first, self._second = self._bits.reshape(2, 2, -1).swapaxes(0, 1)
        self._numbers = _numbers()
        self._are_float16 = dtype == np.float16
        self.below = _NOT_FINITE if self._are_float16 else math.inf

    @staticmethod
    def can_hold(dtype: Any) -> bool:
        """Return whether a dtype is a float of 16 bits, in the byte order of this machine.

        A thread that drops denormals cannot hold those of float16.
        """
        import ml_dtypes
        import numpy as np

        if dtype == np.float16 and not are_denormals_kept():
            return False
        return dtype in (np.float16, ml_dtypes.bfloat16) and bool(dtype.isnative)

    def floats(self) -> tuple[Any, Any]:
        """Return the floats of both sides, which take the place of the halves."""
        import numpy as np

        sixteen, three, upper, kept, scale = self._numbers
        np.left_shift(self._second, sixteen, out=self._first)
        if self._are_float16:
            np.right_shift(self._bits, three, out=self._bits)
            np.bitwise_and(self._bits, kept, out=self._bits)
            np.multiply(self._floats, scale, out=self._floats)
        else:
            np.bitwise_and(self._second, upper, out=self._second)
        return self._sides[0], self._sides[1]


@functools.cache
def _numbers() -> tuple[Any, ...]:
    """Return the numbers as arrays, which numpy else makes of them for each block."""
    import numpy as np

    return (*(np.array(n, np.int32) for n in (16, 3, _UPPER, _KEPT)), np.array(_SCALE, np.float32))

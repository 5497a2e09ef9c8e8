"""How far a value may be from another that was rounded to a narrower dtype, or to blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

from caten_sd.state.dtype import DType

# The distance between neighbors, over the value, and the least distance; the narrowest decides.
_FLOATS = {
    "float32": (2.0**-23, 2.0**-149),
    "float16": (2.0**-10, 2.0**-24),
    "bfloat16": (2.0**-7, 2.0**-133),
    "float8_e4m3fn": (2.0**-3, 2.0**-9),
    "float8_e5m2": (2.0**-2, 2.0**-16),
}
# Of the largest value of a block: blocks of 4-bit floats have their values farther apart above.
_FLOAT_CODES = {"mxfp4": 1 / 3, "nvfp4": 1 / 3, "nf4": 1 / 3, "fp4": 1 / 3}
_LONGEST = 1024  # elements of a block; a longer one is a row with a scale of its own


class Rounding(NamedTuple):
    """What a rounding may change: a part of a value, a fixed amount, a part of a block's largest.

    ``run`` is the elements of a block, and 0 where there are none.
    """

    relative: float
    fixed: float
    step: float = 0.0
    run: int = 0

    def holds(self, a: Any, b: Any, gaps: Any) -> bool:
        """Return whether all gaps between two flat arrays are within the rounding."""
        import numpy as np

        if not np.isfinite(gaps.max(initial=0)):
            return False
        if self.run:
            run = self.run if gaps.size % self.run == 0 else gaps.size
            largest = np.maximum(np.abs(a), np.abs(b)).reshape(-1, run).max(axis=1)
            return bool((gaps.reshape(-1, run).max(axis=1) <= self.step * largest).all())
        room = np.maximum(np.abs(a), np.abs(b)) * self.relative
        return bool((gaps <= room + self.fixed).all())


def rounding_between(one: DType, other: DType) -> Rounding | None:
    """Return the rounding of the narrower of two dtypes, of both if both are block types, or None.

    >>> from caten_sd.state.dtype import DTYPES
    >>> rounding_between(DTYPES["float32"], DTYPES["bfloat16"]).relative
    0.0078125
    >>> rounding_between(DTYPES["float32"], DTYPES["float32"])
    """
    blocks = [each for each in (one, other) if each.kind == "block"]
    if one == other:
        return None
    if blocks:
        longest = max(each.per for each in blocks)
        return Rounding(0.0, 0.0, sum(map(_step, blocks)), min(longest, _LONGEST))
    known = [_FLOATS[each.name] for each in (one, other) if each.name in _FLOATS]
    return Rounding(*max(known)) if known else None


def _step(dtype: DType) -> float:
    """Return the step of a block type, over the largest value of a block.

    The bits of an element that are left once those of the scales are off tell it.

    >>> [_step(DType("", "block", 8 * size, n)) for size, n in ((34, 32), (18, 32), (144, 256))]
    [0.0078125, 0.125, 0.125]
    """
    if dtype.name.lower() in _FLOAT_CODES:
        return _FLOAT_CODES[dtype.name.lower()]
    bits = -(-dtype.bits // max(dtype.per, 1)) - 1
    return float(2.0 ** -(max(bits, 1) - 1))

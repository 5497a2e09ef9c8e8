"""The differences between two runs of values, added up block by block in reused memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from caten_sd.proof.diff_rounding import Rounding
from caten_sd.proof.fast_sum import fast_sum
from caten_sd.proof.wider_blocks import WiderBlocks, room_for
from caten_sd.state.compare import wide_enough

_FAINT = 1e-28  # a sum of squares below it may have lost some to underflow, in float32
_UNEQUAL = 16  # times the squares of the other, from which sums tell no product
_SUMS = (
    *("elements", "changed", "nan_a", "nan_b", "absolute"),
    *("squares", "squares_a", "squares_b", "product"),
)


class Change(NamedTuple):
    """How far the values of B are from those of A.

    ``mean`` is that of the absolute differences. ``relative_rms`` is the root mean square of the
    differences over that of A. ``nan_a`` and ``nan_b`` count the NaNs on that side alone, which
    are in no other figure but ``changed``. A quick diff leaves ``changed`` and ``mean`` out.
    """

    elements: int
    changed: int | None
    largest: float
    mean: float | None
    rms: float
    relative_rms: float
    cosine: float
    nan_a: int
    nan_b: int


class Tally:
    """Sums over the elements that were added, and whether all were within a rounding.

    ``quick`` leaves out how many elements changed, and the sum of the absolute differences.
    """

    def __init__(self, rounding: Rounding | None = None, *, quick: bool = False) -> None:
        self.rounding, self.quick = rounding, quick
        self.is_within = rounding is not None
        self.elements = self.changed = self.nan_a = self.nan_b = 0
        self.largest = 0.0
        self.absolute = self.squares = self.squares_a = self.squares_b = self.product = 0.0
        self._room: Any = None
        self._wider: list[WiderBlocks] = []

    def add(self, a: Any, b: Any) -> None:
        """Add two flat arrays of one size, of the same dtypes each time, that a cache can hold."""
        import numpy as np

        if not self._wider:
            wide = np.dtype(wide_enough(a.dtype, b.dtype))
            self._wider = [WiderBlocks(each.dtype, wide) for each in (a, b)]
        one, other = self._wider[0].of(a), self._wider[1].of(b)
        if one.dtype.char not in "fd" or not self.add_floats(one, other, self._room_for(one)):
            self._add_any(one, other)
        self.elements += one.size

    def add_floats(self, a: Any, b: Any, gaps: Any, *, below: float = math.inf) -> bool:
        """Add floats, if all are finite and no square is lost; return whether it was done.

        ``gaps`` is memory for the differences, which may be that of ``b``. An absolute value of
        ``below`` or more may stand for one that is not finite.
        """
        import numpy as np

        squares_a, squares_b = float(a.dot(a)), float(b.dot(b))
        if not (squares_a + squares_b < below * below / 4 or _are_below(below, a, b)):
            return False
        if (squares_a < _FAINT and a.any()) or (squares_b < _FAINT and b.any()):
            return False
        is_told = squares_a <= _UNEQUAL * squares_b and squares_b <= _UNEQUAL * squares_a
        product = 0.0 if is_told else float(a.dot(b))
        np.subtract(a, b, out=gaps)
        squares = float(gaps.dot(gaps))
        if not squares + abs(product) < math.inf or (squares < _FAINT and gaps.any()):
            return False
        if self.quick and self.rounding is None:
            largest, least = np.maximum.reduce(gaps), np.minimum.reduce(gaps)
            self.largest = max(self.largest, float(largest), -float(least))
        elif squares:
            self._add_gaps(a, b, gaps)
        self.squares += squares
        self.squares_a += squares_a
        self.squares_b += squares_b
        self.product += (squares_a + squares_b - squares) / 2 if is_told else product
        return True

    def _add_gaps(self, a: Any, b: Any, gaps: Any) -> None:
        """Add the differences of floats, which are made absolute."""
        import numpy as np

        np.abs(gaps, out=gaps)
        self.largest = max(self.largest, float(np.maximum.reduce(gaps)))
        self._check(a, b, gaps)
        if not self.quick:  # where floats differ there is a difference, however small they are
            self.changed += int(np.count_nonzero(gaps.view(f"i{gaps.itemsize}")))
            self.absolute += fast_sum(gaps)

    def _room_for(self, a: Any) -> Any:
        """Return memory for the differences from an array, which is used again."""
        if self._room is None or len(self._room) < a.size:
            self._room = room_for(a.size, a.dtype)
        return self._room[: a.size]

    def _add_any(self, a: Any, b: Any) -> None:
        """Add values of any kind, with NaN and infinities, in the widest dtype."""
        import numpy as np

        if a.dtype == np.float32:
            a, b = a.astype(np.float64), b.astype(np.float64)
        nan_a, nan_b = np.isnan(a), np.isnan(b)
        either = nan_a | nan_b
        gaps = np.abs(np.subtract(a, b))
        gaps[(a == b) | either] = 0
        self.nan_a += int(np.count_nonzero(nan_a & ~nan_b))
        self.nan_b += int(np.count_nonzero(nan_b & ~nan_a))
        self.changed += int(np.count_nonzero((a != b) & ~(nan_a & nan_b)))
        self.largest = max(self.largest, float(gaps.max(initial=0)))
        known_a, known_b = (np.where(either, 0, side) for side in (a, b))
        self._check(known_a, known_b, np.where(nan_a != nan_b, np.inf, gaps))
        finite = np.isfinite(a) & np.isfinite(b)
        self.absolute += float(gaps[finite].sum())
        self.squares += float(np.square(gaps[finite]).sum())
        self.squares_a += float(np.square(np.abs(a[finite])).sum())
        self.squares_b += float(np.square(np.abs(b[finite])).sum())
        self.product += float((a[finite] * np.conj(b[finite])).sum().real)

    def _check(self, a: Any, b: Any, gaps: Any) -> None:
        if self.is_within and self.rounding is not None:
            self.is_within = self.rounding.holds(a, b, gaps)

    @property
    def is_changed(self) -> bool:
        """Whether an element is another one in B."""
        return self.largest > 0 or self.changed > 0

    def plus(self, other: Tally) -> Tally:
        """Return the sums over the elements of both, which are this one's from now on."""
        self.is_within = self.is_within and other.is_within
        self.largest = max(self.largest, other.largest)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def result(self) -> Change:
        """Return the figures of all that was added."""
        count = max(self.elements, 1)
        lengths = math.sqrt(self.squares_a) * math.sqrt(self.squares_b)
        return Change(
            self.elements,
            None if self.quick else self.changed,
            self.largest,
            None if self.quick else self.absolute / count,
            math.sqrt(self.squares / count),
            _ratio(math.sqrt(self.squares), math.sqrt(self.squares_a)),
            max(-1.0, min(1.0, self.product / lengths)) if lengths else float(not self.is_changed),
            self.nan_a,
            self.nan_b,
        )


def _are_below(limit: float, *arrays: Any) -> bool:
    """Return whether all absolute values are less than a limit, which infinity is not."""
    ends = (abs(end) for array in arrays for end in (array.max(), array.min()))
    return limit < math.inf and all(end < limit for end in ends)


def tallied(
    blocks: Iterable[tuple[Any, Any]], rounding: Rounding | None = None, *, quick: bool = False
) -> Tally:
    """Return the sums over the same elements of two leaves, given block by block."""
    import numpy as np

    tally = Tally(rounding, quick=quick)
    with np.errstate(all="ignore"):
        for a, b in blocks:
            tally.add(a, b)
    return tally


def _ratio(part: float, whole: float) -> float:
    """Return a part of a whole, which is infinite of nothing.

    >>> _ratio(1.0, 4.0), _ratio(0.0, 0.0), _ratio(1.0, 0.0)
    (0.25, 0.0, inf)
    """
    if not part:
        return 0.0
    return part / whole if whole else math.inf

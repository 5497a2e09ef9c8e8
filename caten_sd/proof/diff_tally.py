"""The differences between two runs of values, added up block by block in reused memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from caten_sd.proof.diff_rounding import Rounding
from caten_sd.state.compare import wide_enough

_FAINT = 1e-28  # a sum of squares below it may have lost some to underflow, in float32
_SUMS = (
    *("elements", "changed", "nan_a", "nan_b", "absolute"),
    *("squares", "squares_a", "squares_b", "product"),
)


class Change(NamedTuple):
    """How far the values of B are from those of A.

    ``mean`` is that of the absolute differences. ``relative_rms`` is the root mean square of the
    differences over that of A. ``nan_a`` and ``nan_b`` count the NaNs on that side alone, which
    are in no other figure but ``changed``.
    """

    elements: int
    changed: int
    largest: float
    mean: float
    rms: float
    relative_rms: float
    cosine: float
    nan_a: int
    nan_b: int


class Tally:
    """Sums over the elements that were added, and whether all were within a rounding."""

    def __init__(self, rounding: Rounding | None = None) -> None:
        self.rounding = rounding
        self.is_within = rounding is not None
        self.elements = self.changed = self.nan_a = self.nan_b = 0
        self.largest = 0.0
        self.absolute = self.squares = self.squares_a = self.squares_b = self.product = 0.0
        self._wide: Any = None
        self._room: Any = None
        self._widened: list[Any] = [None, None]

    def add(self, a: Any, b: Any) -> None:
        """Add two flat arrays of one size, of the same dtypes each time, that a cache can hold."""
        import numpy as np

        if self._wide is None:
            self._wide = np.dtype(wide_enough(a.dtype, b.dtype))
        one, other = self._cast(a, 0), self._cast(b, 1)
        self.elements += one.size
        if self._wide.name not in ("float32", "float64") or not self._add_plain(one, other):
            self._add_any(one, other)

    def _cast(self, array: Any, side: int) -> Any:
        """Return an array in the wide dtype, in memory that is used again for the next block."""
        import numpy as np

        if array.dtype == self._wide and array.dtype.isnative:
            return array
        room = self._widened[side]
        if room is None or len(room) < array.size:
            room = self._widened[side] = np.empty(array.size, self._wide)
        np.copyto(room[: array.size], array, casting="unsafe")
        return room[: array.size]

    def _add_plain(self, a: Any, b: Any) -> bool:
        """Add floats, if all are finite and no square is lost; return whether it was done."""
        import numpy as np

        if self._room is None or self._room[0].dtype != a.dtype or len(self._room[0]) < a.size:
            ones = np.ones(a.size, a.dtype)
            self._room = np.empty_like(a), np.empty(a.size, np.bool_), ones
        gaps, differs, ones = (each[: a.size] for each in self._room)
        np.subtract(a, b, out=gaps)
        squares, squares_a, squares_b = (float(each.dot(each)) for each in (gaps, a, b))
        product = float(a.dot(b))
        if not all(map(math.isfinite, (squares, squares_a, squares_b, product))):
            return False
        np.not_equal(a, b, out=differs)
        changed = int(np.count_nonzero(differs))
        if min(squares_a, squares_b) < _FAINT or (changed and squares < _FAINT):
            return False
        if changed:
            np.abs(gaps, out=gaps)
            self.largest = max(self.largest, float(gaps.max()))
            self.absolute += float(gaps.dot(ones))
            self._check(a, b, gaps)
        self.changed += changed
        self.squares += squares
        self.squares_a += squares_a
        self.squares_b += squares_b
        self.product += product
        return True

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
        self._check(a, b, np.where(nan_a != nan_b, np.inf, gaps))
        finite = np.isfinite(a) & np.isfinite(b)
        self.absolute += float(gaps[finite].sum())
        self.squares += float(np.square(gaps[finite]).sum())
        self.squares_a += float(np.square(np.abs(a[finite])).sum())
        self.squares_b += float(np.square(np.abs(b[finite])).sum())
        self.product += float((a[finite] * np.conj(b[finite])).sum().real)

    def _check(self, a: Any, b: Any, gaps: Any) -> None:
        if self.is_within and self.rounding is not None:
            self.is_within = self.rounding.holds(a, b, gaps)

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
            self.changed,
            self.largest,
            self.absolute / count,
            math.sqrt(self.squares / count),
            _ratio(math.sqrt(self.squares), math.sqrt(self.squares_a)),
            max(-1.0, min(1.0, self.product / lengths)) if lengths else float(not self.changed),
            self.nan_a,
            self.nan_b,
        )


def tallied(blocks: Iterable[tuple[Any, Any]], rounding: Rounding | None = None) -> Tally:
    """Return the sums over the same elements of two leaves, given block by block."""
    import numpy as np

    tally = Tally(rounding)
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

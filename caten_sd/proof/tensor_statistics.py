"""Statistics of a tensor's values, from a piece at a time, so that they take little memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.proof.fast_sum import fast_sum
from caten_sd.proof.wider_blocks import WiderBlocks
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.grouping import few_keys
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.state.leaf import DENSE, Numpy, as_array, spec_or_none
from caten_sd.state.parts import parts
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import first_few

BLOCK = 1 << 17  # elements, which stay in the processor's cache
_FAINT = 1e-28  # a sum of squares below it may have lost some to underflow, in float32
FAR = 6  # standard deviations from the mean, farther than which a value is an outlier


class Statistics(NamedTuple):
    """What is known of values: those that are finite, and how many are not.

    ``squares`` is the sum of the squared distances from the mean. ``outliers`` counts the values
    that are more than 6 standard deviations from the mean of their tensor.
    """

    number: int
    minimum: float
    maximum: float
    mean: float
    squares: float
    zeros: int
    nans: int
    infinities: int
    outliers: int = 0

    @property
    def std(self) -> float:
        """The standard deviation of the finite values."""
        finite = self.number - self.nans - self.infinities
        return math.sqrt(self.squares / finite) if finite else math.nan

    def joined(self, other: Statistics) -> Statistics:
        """Return the statistics of both.

        >>> one, two = (Statistics(1, x, x, x, 0.0, 0, 0, 0) for x in (1.0, 3.0))
        >>> one.joined(two).std
        1.0
        """
        ours, theirs = (each.number - each.nans - each.infinities for each in (self, other))
        if not ours or not theirs:
            known = self if ours else other
            mean, squares = known.mean, known.squares
        else:
            gap, share = other.mean - self.mean, theirs / (ours + theirs)
            mean = self.mean + gap * share
            squares = self.squares + other.squares + gap * gap * ours * share
        sums = [one + two for one, two in zip(self[5:], other[5:], strict=True)]
        low, high = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        return Statistics(self.number + other.number, low, high, mean, squares, *map(int, sums))

    def __str__(self) -> str:
        if self.number == self.nans + self.infinities:
            shown = "no finite values" if self.number else "no values"
        else:
            span = f"{self.minimum:.3g} to {self.maximum:.3g}"
            shown = f"{span}, mean {self.mean:.3g}, std {self.std:.3g}"
        counts = {
            "zeros": self.zeros,
            "outliers": self.outliers,
            "NaN": self.nans,
            "Inf": self.infinities,
        }
        said = [f"{_share(n, self.number)} {name}" for name, n in counts.items() if n]
        return ", ".join([shown, *said])

    def to_json(self) -> dict[str, float]:
        """Return the statistics by their names, as JSON has them."""
        finite = self.number > self.nans + self.infinities
        moments = {"min": self.minimum, "max": self.maximum, "mean": self.mean, "std": self.std}
        counts = {"count": self.number, "zeros": self.zeros, "nan": self.nans}
        more = {"inf": self.infinities, "outliers": self.outliers}
        return {**(moments if finite else {}), **counts, **more}


_NOTHING = Statistics(0, math.inf, -math.inf, 0.0, 0.0, 0, 0, 0)


def statistics(leaf: Any) -> Statistics | None:
    """Return the statistics of a leaf's values; None if it has no real numbers.

    What may have outliers is read a second time, once mean and deviation are known.

    >>> import numpy
    >>> print(statistics(numpy.array([0.0, 1.0, 2.0, numpy.nan])))
    0 to 2, mean 1, std 0.816, 25% zeros, 25% NaN
    """
    known = spec_or_none(leaf)
    is_real = known is not None and known.dtype.kind not in ("complex", "other")
    if known is None or not is_real or not known.has_values or known.form != DENSE:
        return None
    pieces = parts(leaf)
    found = [joined(map(_of_block, _blocks(piece))) for piece in pieces]
    whole = joined(found)
    room = FAR * whole.std
    outliers = sum(
        _outliers(piece, whole.mean, room)
        for piece, own in zip(pieces, found, strict=True)
        if own.maximum - whole.mean > room or whole.mean - own.minimum > room
    )
    return whole._replace(outliers=outliers)


def joined(each: Iterable[Statistics]) -> Statistics:
    """Return the statistics of all."""
    whole = _NOTHING
    for one in each:
        whole = whole.joined(one)
    return whole


def _blocks(piece: Any) -> Iterator[Any]:
    """Yield the values of a piece as flat blocks of floats, each in the memory of the last one."""
    import numpy as np

    array = with_bytes_copied(as_array, Numpy(), piece)
    flat = array.reshape(-1)
    is_wide = array.dtype.kind in "iub" or array.dtype == np.float64
    wider = WiderBlocks(array.dtype, np.dtype(np.float64 if is_wide else np.float32))
    for start in range(0, flat.size, BLOCK):
        yield wider.of(flat[start : start + BLOCK])


def _of_block(block: Any) -> Statistics:
    import numpy as np

    low, high = float(block.min()), float(block.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = block[np.isfinite(block)]
        nans = int(np.isnan(block).sum())
        known = _of_block(finite) if finite.size else _NOTHING
        infinities = block.size - finite.size - nans
        return known._replace(number=block.size, nans=nans, infinities=infinities)
    is_any_zero = low <= 0 <= high  # numpy counts floats that are not zero in six times the time
    zeros = block.size - int(np.count_nonzero(np.not_equal(block, 0))) if is_any_zero else 0
    mean, squares = _moments(block, low, high)
    return Statistics(block.size, low, high, mean, squares, zeros, 0, 0)


def _moments(block: Any, low: float, high: float) -> tuple[float, float]:
    """Return the mean of finite values, and the sum of the squared distances from it."""
    import numpy as np

    if low == high:
        return low, 0.0
    is_wide = block.dtype == np.float64
    with np.errstate(over="ignore", invalid="ignore"):
        near = block.dtype.type(fast_sum(block) / block.size)
        centered = block - near
        rest = fast_sum(centered) / block.size  # by which the first sum was rounded
        squares = max(float(np.dot(centered, centered)) - block.size * rest * rest, 0.0)
    if math.isfinite(rest) and (is_wide or _FAINT < squares < math.inf):
        return float(near) + rest, squares
    if not is_wide:
        return _moments(block.astype(np.float64), low, high)
    mean = fast_sum(block / block.size)  # of doubles so large that their squares are infinite
    return min(max(mean, low), high), math.inf


def _outliers(piece: Any, mean: float, room: float) -> int:
    import numpy as np

    count = 0
    with np.errstate(invalid="ignore"):
        for block in _blocks(piece):
            far = np.abs(block - block.dtype.type(mean)) > room
            count += int(np.count_nonzero(far & np.isfinite(block)))
    return count


def _share(count: int, whole: int) -> str:
    """Return a share in per cent, or a count if it is less than one in a thousand.

    >>> _share(1, 4), _share(3, 10_000)
    ('25%', '3')
    """
    return f"{count:,}" if count * 1000 < whole else f"{100 * count / whole:.3g}%"


def statistics_group(leaves: Mapping[str, Any], *, every: bool) -> SheetGroup:
    """Return the group of a sheet: a row for every tensor, or for all that differ in an index."""
    known = {key: found for key, leaf in leaves.items() if (found := statistics(leaf)) is not None}
    if every:
        rows = [SheetRow(key, str(own), data=own.to_json) for key, own in known.items()]
        return SheetGroup("statistics", rows)
    alike: dict[tuple[str, ...], list[str]] = {}
    for key in known:
        alike.setdefault(tuple(INDEX_SEGMENT.split(key)), []).append(key)
    rows = []
    for keys in alike.values():
        rows.append(SheetRow(few_keys(keys), str(joined(known[key] for key in keys))))
    return SheetGroup("statistics", rows)


def not_finite(leaves: SheetGroup) -> list[str]:
    """Return a note on the rows of tensors with NaN or infinities, if there are any."""
    found = [row.key for row in leaves.rows if row.detail.endswith((" NaN", " Inf"))]
    return [f"NaN or infinities in {first_few(found, 4)}"] * bool(found)

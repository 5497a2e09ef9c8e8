"""Random projections of an array: a few numbers, of which those of two arrays tell the distance."""

from __future__ import annotations

from typing import Any

_BLOCK = 1 << 16  # elements that are projected at a time
_MIXERS = (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
_SUMS = 256  # the distance is right within a tenth


class Projection:
    """Sums of the values of an array, each with a random sign, which no difference leaves alone.

    Values that are not finite are told by their places instead.

    >>> import numpy
    >>> a, b = numpy.ones(100_000), numpy.ones(100_000)
    >>> b[77_777] = 1.5
    >>> Projection(a).rms(Projection(a)), round(Projection(a).rms(Projection(b)) * 100_000**0.5, 3)
    (0.0, 0.5)
    """

    def __init__(self, array: Any) -> None:
        import numpy as np

        self.size, self.dtype = array.size, array.dtype
        self.finite = self._odd = 0
        self._squares = 0.0
        self._sums = np.zeros(_SUMS)
        flat = array.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            self._add(flat[start : start + _BLOCK].astype(np.float64), start)

    def _add(self, block: Any, start: int) -> None:
        import numpy as np

        odd = ~np.isfinite(block)
        if odd.any():
            places = [np.isnan(block), block == np.inf, block == -np.inf]
            for code, each in enumerate(places, 2):
                self._odd += _told((start + np.flatnonzero(each)) * 8 + code)
            block = np.where(odd, 0.0, block)
        self.finite += block.size - int(np.count_nonzero(odd))
        self._squares += float(block.dot(block))
        signed = np.zeros(-(-block.size // _SUMS) * _SUMS)
        signed[: block.size] = block * _signs(start // _BLOCK)[: block.size]
        self._sums += signed.reshape(-1, _SUMS).sum(axis=0)

    @property
    def scale(self) -> float:
        """The root mean square of the finite values."""
        return float((self._squares / self.finite) ** 0.5) if self.finite else 0.0

    def rms(self, other: Projection) -> float:
        """Return the root mean square of the differences, infinite if others are not finite."""
        import numpy as np

        if self._odd != other._odd:
            return float("inf")
        gaps = self._sums - other._sums
        with np.errstate(over="ignore"):
            return float((gaps.dot(gaps) / max(self.size, 1)) ** 0.5)


def _told(numbers: Any) -> int:
    """Return a number that tells some sets of numbers, which are not negative, from all others.

    >>> import numpy
    >>> _told(numpy.array([1, 4])) == _told(numpy.array([2, 3])), _told(numpy.array([], int))
    (False, 0)
    """
    import numpy as np

    mixed = numbers.astype(np.uint64)
    for factor in _MIXERS:
        mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(factor)
    return int((mixed ^ mixed >> np.uint64(32)).sum(dtype=np.uint64))


def _signs(number: int) -> Any:
    """Return the signs of the elements of a block, other ones for each block."""
    import numpy as np

    drawn = np.frombuffer(np.random.default_rng(number).bytes(_BLOCK // 8), np.uint8)
    return np.unpackbits(drawn) * 2.0 - 1.0

"""Sketches of tensors: some of the sorted values, which stay when the elements are reordered."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, NamedTuple

from caten_sd.proof.fingerprints import flat
from caten_sd.proof.weights import Weights

POINTS = 64


class Sketches(NamedTuple):
    """The keys of tensors of one count of elements, and the sketch of each in a row."""

    keys: list[str]
    rows: Any


def sketches(
    a: Weights, here: Collection[str], b: Weights, there: Collection[str]
) -> list[tuple[Sketches, Sketches]]:
    """Return the sketches of floats of A and of B, for each count of elements that both have.

    Tensors with NaN or infinities have none, since every formula would leave those as they are.
    """
    counts = [weights.by_count(keys, 3) for weights, keys in ((a, here), (b, there))]
    both = [
        (_sketches(a, counts[0][count]), _sketches(b, counts[1][count]))
        for count in counts[0]
        if count in counts[1]
    ]
    return [(one, other) for one, other in both if one.keys and other.keys]


def _sketches(weights: Weights, keys: list[str]) -> Sketches:
    import numpy as np

    wide = any(weights.specs[key].dtype.bits > 32 for key in keys)
    elements = weights.prints[keys[0]].elements
    places = _places(elements)
    rows = np.empty((len(keys), len(places)), np.float64 if wide else np.float32)
    for n, key in enumerate(keys):
        rows[n] = sketch(flat(weights.leaves[key]))
    finite = np.isfinite(rows[:, 0]) & np.isfinite(rows[:, -1])  # which show whether all values are
    if finite.all():
        return Sketches(keys, rows)
    return Sketches([key for key, kept in zip(keys, finite, strict=True) if kept], rows[finite])


def sketch(array: Any) -> Any:
    """Return some of the sorted values of a flat array, the least and the largest included.

    >>> import numpy
    >>> sketch(numpy.arange(129)[::-1])[:3]
    array([0., 2., 4.])
    """
    import numpy as np

    wide = array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64)
    wide.sort()
    return wide if len(wide) <= POINTS else wide[_places(len(wide))]


@functools.lru_cache(maxsize=64)
def _places(count: int) -> Any:
    """Return the places of sorted values that are in a sketch: all of a few."""
    import numpy as np

    if count <= POINTS:
        return np.arange(count)
    low = np.linspace(0, (count - 1) / 2, POINTS // 2).astype(np.int64)
    return np.concatenate([low, count - 1 - low[::-1]])  # the same of values that are negated

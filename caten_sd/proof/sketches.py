"""Sketches of contents: some of the sorted values, which stay when the elements are reordered."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from caten_sd.proof.fingerprints import flat
from caten_sd.proof.weights import Weights

POINTS = 64


def sketches(contents: Weights, keys: Collection[str]) -> dict[int, tuple[list[str], Any]]:
    """Return, for each count of elements, the keys of the floats, and a sketch in a row for each.

    A tensor of one value, or of fewer than three elements, has none.
    """
    import numpy as np

    found: dict[int, tuple[list[str], list[Any]]] = {}
    for key in keys:
        dtype, known = contents.specs[key].dtype, contents.prints[key]
        if dtype.kind not in ("float", "block") or known.is_constant or known.elements < 3:
            continue
        names, rows = found.setdefault(known.elements, ([], []))
        names.append(key)
        rows.append(sketch(flat(contents.leaves[key])))
    return {count: (names, np.array(rows)) for count, (names, rows) in found.items()}


def sketch(array: Any) -> Any:
    """Return some of the sorted values of a flat array, the least and the largest included.

    >>> import numpy
    >>> sketch(numpy.arange(129)[::-1])[:3]
    array([0., 2., 4.])
    """
    import numpy as np

    wide = array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64)
    wide.sort()
    low = np.linspace(0, (len(wide) - 1) / 2, POINTS // 2).astype(np.int64)
    at = np.concatenate([low, len(wide) - 1 - low[::-1]])  # the same of values that are negated
    return wide[at].astype(np.float64)

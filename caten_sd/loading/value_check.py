"""Find odd values: NaN, Inf, nothing but zeros. They are reported and never repaired."""

from __future__ import annotations

from typing import Any

from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.leaf import Numpy, as_array

_BLOCK = 1 << 20  # elements checked at a time


def finding(leaf: Any) -> str:
    """Return what is odd in a leaf's values, or "". This reads the data.

    >>> import numpy
    >>> finding(numpy.array([1.0, numpy.nan, -numpy.inf, numpy.nan]))
    '2 NaN, 1 Inf'
    """
    import numpy as np

    array = with_bytes_copied(as_array, Numpy(), leaf).reshape(-1)
    nans = infinities = 0
    zero = array.size > 1
    for start in range(0, array.size, _BLOCK):
        block = array[start : start + _BLOCK]
        zero = zero and not block.any()
        if block.dtype.kind in "iub":
            continue
        wide = block if block.dtype.kind in "fc" else block.astype(np.float32)
        if not np.isfinite(wide).all():
            nans += int(np.isnan(wide).sum())
            infinities += int(np.isinf(wide).sum())
    counts = [f"{n} {name}" for n, name in ((nans, "NaN"), (infinities, "Inf")) if n]
    return ", ".join(counts) or ("all zero" if zero else "")

"""Whether a leaf of a file fits a slot of a model, and what a change of dtype does to it."""

from __future__ import annotations

import math
from typing import Any

from caten_sd.report import Outcome
from caten_sd.stream import same_bytes
from caten_sd.tensor import DType, Numpy, Spec, as_array

# From kind to the kinds that keep its meaning. A float in an integer slot loses what it says.
_KEEPS = {
    "bool": {"bool", "int", "uint", "float", "complex"},
    "int": {"int", "uint", "float", "complex"},
    "uint": {"int", "uint", "float", "complex"},
    "float": {"float", "complex"},
    "block": {"float"},
    "complex": {"complex"},
}
# Bits of exponent and of mantissa: a float holds another exactly if it has no less of both.
_FLOATS = {
    "float64": (11, 52),
    "float32": (8, 23),
    "float16": (5, 10),
    "bfloat16": (8, 7),
    "float8_e5m2": (5, 2),
    "float8_e4m3fn": (4, 3),
}
_BLOCK = 1 << 20  # elements compared at a time


def judge(slot: Spec, leaf: Spec, target: DType | None = None) -> tuple[Outcome, str]:
    """Return LOADED, CAST, SHAPE or DTYPE for a leaf and the slot that asks for it, and a note.

    ``target`` is the dtype that the slot is to have, where that is not its own.
    """
    note = ""
    if slot.shape != leaf.shape:
        if slot.shape or leaf.shape != (1,):
            return Outcome.SHAPE, ""
        note = "one element into a slot of no axes"
    target = target or slot.dtype
    if slot.dtype == leaf.dtype == target:
        return Outcome.LOADED, note
    if slot.dtype.kind not in _KEEPS.get(leaf.dtype.kind, ()):
        return Outcome.DTYPE, ""
    if slot.dtype != target:
        note = f"the slot becomes {target}"
    return (Outcome.LOADED if leaf.dtype == target else Outcome.CAST), note


def is_exact(source: DType, target: DType) -> bool:
    """Tell whether every value of ``source`` is a value of ``target``.

    >>> from caten_sd.tensor import DTYPES
    >>> is_exact(DTYPES["bfloat16"], DTYPES["float32"])
    True
    >>> is_exact(DTYPES["bfloat16"], DTYPES["float16"])
    False
    """
    if source == target:
        return True
    if source.kind == "bool":  # zero is a value of all but one float, which holds scales
        return target.kind in ("int", "uint", "complex") or target.name in _FLOATS
    if source.name in _FLOATS and target.name in _FLOATS:
        pairs = zip(_FLOATS[source.name], _FLOATS[target.name], strict=True)
        return all(has <= room for has, room in pairs)
    if source.kind in ("int", "uint"):
        sign = source.kind == "int"
        if target.name in _FLOATS:
            return source.bits - sign <= _FLOATS[target.name][1] + 1
        if target.kind in ("int", "uint"):
            return target.bits - (target.kind == "int") >= source.bits - sign and (
                target.kind == "int" or not sign
            )
    return False


def largest_error(leaf: Any, place: Any) -> float:
    """Return the largest absolute difference that a cast left; NaN where NaN was is no error."""
    import numpy as np

    before = as_array(Numpy(), leaf).reshape(-1)
    after = as_array(Numpy(), place).reshape(-1)
    wide = _wide_enough(before.dtype, after.dtype)
    worst = 0.0
    with np.errstate(all="ignore"):
        for start in range(0, before.size, _BLOCK):
            a = before[start : start + _BLOCK].astype(wide, copy=False)
            gaps = np.abs(a - after[start : start + _BLOCK].astype(wide, copy=False))
            largest = float(gaps.max())
            if math.isnan(largest):  # of NaN and NaN, of Inf and the same Inf, or of one alone
                largest = _largest_but_equal(a, after[start : start + _BLOCK].astype(wide), gaps)
            worst = max(worst, largest)
    return worst


def _wide_enough(*dtypes: Any) -> Any:
    """Return a dtype in which the values of all of these can be subtracted without loss."""
    import numpy as np

    if any(dtype.kind == "c" for dtype in dtypes):
        return np.complex128
    if any(dtype.kind in "iu" and dtype.itemsize == 8 for dtype in dtypes):
        return np.longdouble
    whole = any(dtype.kind in "iu" and dtype.itemsize == 4 for dtype in dtypes)
    return np.float64 if whole or any(dtype == np.float64 for dtype in dtypes) else np.float32


def _largest_but_equal(a: Any, b: Any, gaps: Any) -> float:
    import numpy as np

    differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
    left = gaps[differs]
    return math.inf if np.isnan(left).any() else float(left.max(initial=0.0))


def same_values(a: Any, b: Any) -> bool:
    """Tell whether two leaves hold the same values; NaN equals NaN."""
    left, right = as_array(Numpy(), a), as_array(Numpy(), b)
    if left.shape != right.shape:
        return False
    if left.dtype == right.dtype and same_bytes(left, right):
        return True
    return largest_error(left, right) == 0

"""Elements of a file that are bytes without a meaning, as numpy writes a dtype that it lacks."""

from __future__ import annotations

from typing import Any

from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.report import Outcome
from caten_sd.state.dtype import RAW_BFLOAT16, is_raw_pair
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Spec
from caten_sd.wording import counted


def taken_for(slot: Spec, leaf: Spec, value: Any) -> LazyTensor | None:
    """Return a leaf of raw elements as the bfloat16 that its slot is; None for any other leaf."""
    if not is_raw_pair(leaf.dtype) or slot.dtype.name != "bfloat16" or slot.shape != leaf.shape:
        return None
    return value.taken_as(slot.dtype) if isinstance(value, LazyTensor) else None


def raw_elements(case: Case) -> Cause | None:
    """Return a cause if tensors are of two raw bytes an element, which bfloat16 may be."""
    rows = case.of(Outcome.DTYPE)
    keys = [row.key for row in rows if row.leaf is not None and is_raw_pair(row.leaf.dtype)]
    if not keys:
        return None
    which = counted(len(keys), "tensor is", "tensors are")
    return Cause(f"{which} raw elements of 2 bytes, as {keys[0]}: {RAW_BFLOAT16}", "")

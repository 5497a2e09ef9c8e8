"""A model that is quantized and a file of floats, or one that is packed in another way."""

from __future__ import annotations

from caten_sd.loading.misfit import Case, Cause
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.packed_names import plain_name
from caten_sd.state.packed_weights import packed_groups
from caten_sd.wording import counted


def packed_slots(case: Case) -> Cause | None:
    """Return a cause if slots hold packed weights, and the file has floats under their names."""
    groups = packed_groups(case.slots)
    dense = [key for key in groups if _is_float(case, plain_name(key))]
    if not dense or len(dense) * 2 < len(groups):
        return None
    weights = f"{counted(len(groups), 'weight')} such as {dense[0]}, which has scales"
    return Cause(
        f"the model is quantized ({weights}), and the file has floats: load the file into a model "
        f"that is not quantized, or build the quantized model from it, as its own library does",
        "",
    )


def _is_float(case: Case, name: str) -> bool:
    known = spec_or_none(case.file[name]) if name in case.file else None
    return known is not None and known.dtype.kind == "float" and known.dtype.bits > 8

"""Whether a leaf of a file fits a slot of a model by shape and dtype."""

from __future__ import annotations

from caten_sd.loading.report import Outcome
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec

# The kinds of dtype that can hold the values of each kind; an integer cannot hold a float.
_HOLD = {
    "bool": {"bool", "int", "uint", "float", "complex"},
    "int": {"int", "uint", "float", "complex"},
    "uint": {"int", "uint", "float", "complex"},
    "float": {"float", "complex"},
    "block": {"float"},
    "complex": {"complex"},
}


def judge(slot: Spec, leaf: Spec, target: DType | None = None) -> tuple[Outcome, str]:
    """Return LOADED, CAST, SHAPE or DTYPE for a slot and the leaf for it, and a note.

    ``target`` is the dtype that the slot will have; the default is its own.
    """
    note = ""
    if slot.shape != leaf.shape:
        if slot.shape or leaf.shape != (1,):
            return Outcome.SHAPE, ""
        note = "one element into a slot without axes"
    target = target or slot.dtype
    if slot.dtype == leaf.dtype == target:
        return Outcome.LOADED, note
    if slot.dtype.kind not in _HOLD.get(leaf.dtype.kind, ()):
        return Outcome.DTYPE, ""
    if slot.dtype != target:
        note = f"the slot becomes {target}"
    return (Outcome.LOADED if leaf.dtype == target else Outcome.CAST), note

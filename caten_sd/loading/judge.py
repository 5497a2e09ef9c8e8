"""Whether a leaf of a file fits a slot of a model, and what a change of dtype does to it."""

from __future__ import annotations

from caten_sd.loading.report import Outcome
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec

# From kind to the kinds that keep its meaning. A float in an integer slot loses what it says.
_KEEPS = {
    "bool": {"bool", "int", "uint", "float", "complex"},
    "int": {"int", "uint", "float", "complex"},
    "uint": {"int", "uint", "float", "complex"},
    "float": {"float", "complex"},
    "block": {"float"},
    "complex": {"complex"},
}


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

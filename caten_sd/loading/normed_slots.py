"""Find a model whose weights are computed from parts, and a file that has them as they are."""

from __future__ import annotations

import re

from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.report import Outcome
from caten_sd.state.grouping import few_keys
from caten_sd.wording import counted

_PART = re.compile(r"(?:(?P<parent>.+?)\.)?(?:parametrizations\.)?(?P<name>[^.]+?)"
                   r"(?:\.original[01]?|_(?:v|orig))")  # fmt: skip


def normed_slots(case: Case) -> Cause | None:
    """Return a cause if slots for parts of a weight are missing, and the file has the weight.

    The parts can be computed from it, but not by a load.
    """
    plain = case.shapes(Outcome.UNEXPECTED)
    found = {}
    for slot, shape in case.shapes(Outcome.MISSING).items():
        match = _PART.fullmatch(slot)
        if match is None or ("_" not in slot and "parametrizations" not in slot):
            continue
        key = ".".join(filter(None, [match["parent"], match["name"]]))
        if plain.get(key) == shape and key not in case.slot_shapes:
            found[key] = slot
    if not found:
        return None
    weights = counted(len(found), "weight is", "weights are")
    slot = next(iter(found.values()))
    return Cause(
        f"{weights} plain in the file ({few_keys(list(found), 2)}) and computed from parts in the "
        f"model ({slot}): load before the norm, the mask or the parametrization is applied",
        "",
    )

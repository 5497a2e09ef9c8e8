"""Find modules that have other names and can be told apart by the shapes of their tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from caten_sd.loading.misfit import Case, Cause, Shape
from caten_sd.loading.rename_trial import line_if_settled
from caten_sd.loading.report import FITS, Outcome
from caten_sd.wording import counted

MOST_MODULES = 64  # a line with more rules is not pasted
_Signature = tuple[tuple[str, Shape], ...]


def by_shapes(case: Case) -> Cause | None:
    """Return a cause if each module without a slot has the names and shapes of just one slot's.

    A module of one tensor says too little, and so does one module if nothing else fits.
    """
    keys = _by_signature(case.shapes(Outcome.UNEXPECTED))
    slots = _by_signature(case.shapes(Outcome.MISSING))
    if keys.keys() != slots.keys() or not 0 < len(keys) <= MOST_MODULES:
        return None
    if len(keys) == 1 and not any(row.outcome in FITS for row in case.rows):
        return None
    if any(len(each) > 1 for each in (*keys.values(), *slots.values())):
        return None
    rules = {keys[each][0]: slots[each][0] for each in keys}
    if "" in rules or "{" in "".join(rules) or any(len(each) < 2 for each in keys):
        return None
    listed = ", ".join(f"{old} for {new}" for old, new in list(rules.items())[:3])
    return Cause(
        f"{counted(len(rules), 'module has', 'modules have')} another name in the file, and the "
        f"names and shapes of the tensors of just one of the model's ({listed})",
        line_if_settled(case, rules),
    )


def _by_signature(shapes: Mapping[str, Shape]) -> dict[_Signature, list[str]]:
    """Return the modules by the last names and the shapes of their tensors."""
    modules: dict[str, list[tuple[str, Shape]]] = defaultdict(list)
    for key, shape in shapes.items():
        parent, _, last = key.rpartition(".")
        modules[parent].append((last, shape))
    found: dict[_Signature, list[str]] = defaultdict(list)
    for parent, tensors in modules.items():
        found[tuple(sorted(tensors))].append(parent)
    return found

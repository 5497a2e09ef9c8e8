"""Try rules of ``rename`` on the names and shapes of a load, before a line with them is printed."""

from __future__ import annotations

from collections.abc import Mapping

from caten_sd.errors import LoadError
from caten_sd.loading.misfit import Case, Shape, rename_line
from caten_sd.loading.named_leaves import NamedLeaves, by_own_keys, match_names
from caten_sd.loading.report import Outcome
from caten_sd.state.leaf import spec_or_none

MOST_RULES = 64  # a line with more is not pasted


def line_if_settled(case: Case, rules: Mapping[str, str]) -> str:
    """Return the line that loads with these rules, or "" if they do not settle the load."""
    return rename_line(rules) if _is_settled(case, rules) else ""


def _is_settled(case: Case, rules: Mapping[str, str]) -> bool:
    try:
        named = match_names(by_own_keys(case.file, rules), case.slots.__contains__)
    except LoadError:  # two keys get one name
        return False
    return names_settle(case, named)


def names_settle(case: Case, named: NamedLeaves) -> bool:
    """Return whether all shapes agree under these names, and one side has nothing left over.

    Where slots without a key and keys without a slot remain, something else differs, and a load
    by these names alone may put a layer into another one's place.
    """
    slots = case.slot_shapes
    for name, leaf in named.leaves.items():
        if name in slots and not _agree(slots[name], leaf):
            return False
    lacking = any(row.key not in named.leaves for row in case.of(Outcome.MISSING))
    left = any(
        name not in case.slots and name not in named.of_wrappers and spec_or_none(leaf) is not None
        for name, leaf in named.leaves.items()
    )
    return not (lacking and left)


def _agree(slot: Shape, leaf: object) -> bool:
    known = spec_or_none(leaf)
    return known is not None and (known.shape == slot or (not slot and known.shape == (1,)))

"""Try rules of ``rename`` on the names and shapes of a load, before a line with them is printed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from caten_sd.errors import LoadError
from caten_sd.loading.misfit import Case, Shape, rename_line
from caten_sd.loading.named_leaves import NamedLeaves, by_own_keys, match_names
from caten_sd.loading.renaming_guess import with_letters
from caten_sd.loading.report import Outcome
from caten_sd.state.leaf import spec_or_none

MOST_RULES = 64  # a line with more is not pasted
_NUMBER = re.compile(r"[0-9]{1,18}")


class _TriedNames(NamedTuple):
    """The name of each key by some rules, and why these are not to be pasted; "" if they are."""

    names: dict[str | None, str]
    doubt: str


def line_if_settled(case: Case, rules: Mapping[str, str]) -> str:
    """Return the line that loads with these rules, or "" if they do not settle the load."""
    return "" if _tried(case, rules).doubt else rename_line(rules)


def doubt_about(case: Case, rules: Mapping[str, str]) -> str:
    """Return why these rules do not settle the load, or "" if they do."""
    return _tried(case, rules).doubt


def line_for_pairs(case: Case, pairs: Mapping[str, str]) -> str:
    """Return the line that gives each key its slot and settles the load, or "" if none does."""
    ends = [_without_common_end(key, slot) for key, slot in pairs.items() if key != slot]
    lettered = [(with_letters(old), with_letters(new)) for old, new in ends]
    for several in (lettered, ends):
        rules = dict(sorted(several, key=lambda each: -each[0].count(".")))
        if several is ends and "{" in "".join(rules):  # it would begin a capture
            return ""
        if not 0 < len(rules) <= MOST_RULES:
            continue
        names, doubt = _tried(case, rules)
        if not doubt and all(names.get(key) == slot for key, slot in pairs.items()):
            return rename_line(rules)
    return ""


def _tried(case: Case, rules: Mapping[str, str]) -> _TriedNames:
    try:
        named = match_names(by_own_keys(case.file, rules), case.slots.__contains__)
    except LoadError:
        return _TriedNames({}, "two keys would then have one name")
    names = {named.key(name): name for name in named.leaves}
    if not names_settle(case, named):
        return _TriedNames(names, "other names or shapes differ, too")
    if not keeps_order(names.items()):
        return _TriedNames(names, "a layer would then pass others of its list")
    return _TriedNames(names, _abandoned(case, named) or _crossed(case, names))


def _abandoned(case: Case, named: NamedLeaves) -> str:
    """Return which slot loses the key that has its name and shape, and gets no other."""
    for slot, shape in case.slot_shapes.items():
        if case.file_shapes.get(slot) == shape and slot not in named.leaves:
            return f"{slot} would then lose the key of its own name and shape"
    return ""


def _crossed(case: Case, names: Mapping[str | None, str]) -> str:
    """Return which key leaves a slot of its own name and shape to a key of another name.

    Names are compared without their numbers, as a list may count from elsewhere. Each of the two
    may then be meant for the slot of the other.
    """
    slots = case.slot_shapes
    changed = [
        (key, name)
        for key, name in names.items()
        if key is not None and name in slots and _NUMBER.sub("#", key) != _NUMBER.sub("#", name)
    ]
    taken = {(_NUMBER.sub("#", name), slots[name]): (key, name) for key, name in changed}
    for key, name in changed:
        if other := taken.get((_NUMBER.sub("#", key), slots[name])):
            return (
                f"{key} would then go to {name}, and {other[0]} to {other[1]} of the same shape, "
                f"which may be meant the other way round"
            )
    return ""


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


def keeps_order(names: Iterable[tuple[str | None, str]]) -> bool:
    """Return whether keys that differ in their numbers only have the order of their new names.

    A layer that passes others of its list has got the place of another layer.

    >>> keeps_order([("h1.w", "h2.w"), ("h2.w", "h3.w")]), keeps_order([("h0", "h3"), ("h1", "h1")])
    (True, False)
    """
    lists: dict[tuple[str, str], list[tuple[list[int], list[int]]]] = defaultdict(list)
    for key, name in names:
        if key is not None:
            lists[_NUMBER.sub("#", key), _NUMBER.sub("#", name)].append((_of(key), _of(name)))
    return all(
        [new for _, new in sorted(each)] == sorted(new for _, new in each)
        for each in lists.values()
    )


def _of(key: str) -> list[int]:
    return list(map(int, _NUMBER.findall(key)))


def _without_common_end(key: str, slot: str) -> tuple[str, str]:
    """Return both without the segments that both end with.

    >>> _without_common_end("layer_0.weight", "layer.0.weight")
    ('layer_0', 'layer.0')
    """
    old, new = key.split("."), slot.split(".")
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        del old[-1], new[-1]
    return ".".join(old), ".".join(new)


def _agree(slot: Shape, leaf: object) -> bool:
    known = spec_or_none(leaf)
    return known is not None and (known.shape == slot or (not slot and known.shape == (1,)))

"""Parts that have one name in a file and another in a model: told by the names and shapes below.

What is found is a proposal, with its count of witnesses. Nothing is renamed by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from caten_sd.state.keys import INDEX_SEGMENT

Shape = tuple[int, ...]
Parts = tuple[str, ...]
MAX_PATTERNS = 400  # beyond it names are too various for one of them to tell
MAX_RIVALS = 16


class Renaming(NamedTuple):
    """A rule for ``rename``: ``agreeing`` of the ``total`` keys that begin so find a slot so."""

    old: str
    new: str
    agreeing: int
    total: int


def renamings(file: Mapping[str, Shape], model: Mapping[str, Shape]) -> list[Renaming]:
    """Return the rules by which keys of a file become slots of a model, the narrowest first.

    >>> file = {"old.w": (2, 3), "old.b": (2,)}
    >>> renamings(file, {"new.w": (2, 3), "new.b": (2,), "more.w": (9, 9)})
    [Renaming(old='old', new='new', agreeing=2, total=2)]
    """
    keys, slots = _Patterns(file), _Patterns(model)
    found: list[Renaming] = []
    while keys.shapes and slots.shapes and len(found) < MAX_RIVALS:
        best = _best(_candidates(keys, slots), keys, slots)
        if best is None:
            break
        found.append(best)
        _take(_parts(best.old), _parts(best.new), keys, slots)
    # The first rule that fits a key holds for it, so the narrower one stands before the wider.
    return sorted(found, key=lambda each: -each.old.count("."))


class _Patterns:
    """Keys that differ in their indices only, as one pattern: the shape for each of its indices."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes: dict[Parts, dict[Parts, Shape]] = {}
        for key, shape in shapes.items():
            if not key:  # a lone tensor's: a rule with nothing on one side would mean all keys
                continue
            pattern = tuple(INDEX_SEGMENT.sub("#", key).split("."))
            self.shapes.setdefault(pattern, {})[tuple(INDEX_SEGMENT.findall(key))] = shape
        if len(self.shapes) > MAX_PATTERNS:
            common = sorted(self.shapes, key=lambda each: len(self.shapes[each]), reverse=True)
            self.shapes = {each: self.shapes[each] for each in common[:MAX_PATTERNS]}

    def under(self, start: Parts) -> list[Parts]:
        """Return the patterns that begin so."""
        return [each for each in self.shapes if each[: len(start)] == start]


def _take(old: Parts, new: Parts, keys: _Patterns, slots: _Patterns) -> None:
    """Forget the patterns that a rule has brought together."""
    for key in keys.under(old):
        slot = (*new, *key[len(old) :])
        if keys.shapes[key].items() & slots.shapes.get(slot, {}).items():
            del keys.shapes[key]
            del slots.shapes[slot]


def _candidates(keys: _Patterns, slots: _Patterns) -> set[tuple[Parts, Parts]]:
    """Return pairs of beginnings: what is before the longest ending that key and slot share."""
    by_ending: dict[Parts, list[Parts]] = {}
    for slot in slots.shapes:
        for at in range(len(slot)):
            by_ending.setdefault(slot[at:], []).append(slot)
    found = set()
    for key in keys.shapes:
        endings = (key[at:] for at in range(len(key)))
        ending = next((each for each in endings if each in by_ending), ())
        rivals = by_ending[ending] if ending else _beside(key, slots)
        if len(rivals) <= MAX_RIVALS:
            cut = len(ending)
            found |= {(key[: len(key) - cut], slot[: len(slot) - cut]) for slot in rivals}
    return {(old, new) for old, new in found if old.count("#") == new.count("#")}


def _beside(key: Parts, slots: _Patterns) -> list[Parts]:
    """Return the slots of the same parent: a last name may be another word (gamma, weight)."""
    return [slot for slot in slots.shapes if slot[:-1] == key[:-1]]


def _best(
    candidates: Iterable[tuple[Parts, Parts]],
    keys: _Patterns,
    slots: _Patterns,
) -> Renaming | None:
    """Return the rule with most witnesses; none where two would put one part in two places."""
    rated = []
    for old, new in candidates:
        agreeing, total = _witnesses(old, new, keys, slots)
        if agreeing * 2 > total:
            rated.append(((agreeing, -len(old)), old, new, total))
    rated.sort(key=lambda each: each[0], reverse=True)
    for rank, old, new, total in rated:
        rivals = [r for r in rated if r[0] == rank and (r[1] == old) != (r[2] == new)]
        if not rivals:
            return Renaming(_lettered(old), _lettered(new), rank[0], total)
    return None


def _witnesses(old: Parts, new: Parts, keys: _Patterns, slots: _Patterns) -> tuple[int, int]:
    agreeing = total = 0
    for key in keys.under(old):
        here = keys.shapes[key]
        there = slots.shapes.get((*new, *key[len(old) :]), {})
        total += len(here)
        agreeing += sum(there.get(indices) == shape for indices, shape in here.items())
    return agreeing, total


def _lettered(parts: Parts) -> str:
    """Return one side as ``rename`` takes it, with a letter for each index."""
    letters = iter("ijklmnopq")
    return ".".join(f"{{{next(letters)}}}" if part == "#" else part for part in parts)


def _parts(text: str) -> Parts:
    return tuple(re.sub(r"\{\w\}", "#", text).split(".")) if text else ()

"""Guess renamings: subtrees of file and model that agree in everything but their prefix.

A guess is a proposal that counts its evidence; nothing is renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from caten_sd.state.keys import INDEX_SEGMENT

Shape = tuple[int, ...]
Parts = tuple[str, ...]
MAX_PATTERNS = 400  # with more patterns than this, names say too little
MAX_RIVALS = 16
_LETTERS = "ijklmnopq"  # for the indices of a rule
_RESERVED = re.compile("[{}*#]")


class Renaming(NamedTuple):
    """A rule for ``rename``, and its evidence.

    ``agreeing`` of the ``total`` keys under ``old`` have a slot of the same shape under ``new``.
    """

    old: str
    new: str
    agreeing: int
    total: int


def renamings(file: Mapping[str, Shape], model: Mapping[str, Shape]) -> list[Renaming]:
    """Return the rules that turn keys of a file into slots of a model, the narrowest first.

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
        _remove_mapped(_parts(best.old), _parts(best.new), keys, slots)
    # The first rule that matches a key applies to it, so narrower rules come first.
    return _counted_once(sorted(found, key=lambda each: -each.old.count(".")), file, model)


def _counted_once(
    rules: list[Renaming], file: Mapping[str, Shape], model: Mapping[str, Shape]
) -> list[Renaming]:
    """Return the rules with the evidence of those keys that no earlier rule applies to."""
    keys, slots, counted = _Patterns(file), _Patterns(model), []
    for rule in rules:
        old, new = _parts(rule.old), _parts(rule.new)
        agreeing, total = _agreement(old, new, keys, slots)
        counted.append(rule._replace(agreeing=agreeing, total=total))
        for key in keys.under(old):
            del keys.shapes[key]
    return counted


class _Patterns:
    """Keys by pattern: those that differ only in their indices share one, with a shape for each."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes: dict[Parts, dict[Parts, Shape]] = {}
        for key, shape in shapes.items():
            # A rule for a single tensor would match all keys; a brace begins a capture in a rule.
            if not key or _RESERVED.search(key):
                continue
            pattern = tuple(INDEX_SEGMENT.sub("#", key).split("."))
            if pattern.count("#") <= len(_LETTERS):
                self.shapes.setdefault(pattern, {})[tuple(INDEX_SEGMENT.findall(key))] = shape
        if len(self.shapes) > MAX_PATTERNS:
            common = sorted(self.shapes, key=lambda each: len(self.shapes[each]), reverse=True)
            self.shapes = {each: self.shapes[each] for each in common[:MAX_PATTERNS]}

    def under(self, start: Parts) -> list[Parts]:
        """Return the patterns that begin with these segments."""
        return [each for each in self.shapes if each[: len(start)] == start]


def _remove_mapped(old: Parts, new: Parts, keys: _Patterns, slots: _Patterns) -> None:
    """Remove the patterns that a rule maps to each other."""
    for key in keys.under(old):
        slot = (*new, *key[len(old) :])
        if keys.shapes[key].items() & slots.shapes.get(slot, {}).items():
            del keys.shapes[key]
            del slots.shapes[slot]


def _candidates(keys: _Patterns, slots: _Patterns) -> list[tuple[Parts, Parts]]:
    """Return pairs of prefixes: the rest of key and slot before the longest ending they share.

    They are in the order of the file, so that it decides between equal ones.
    """
    by_ending: dict[Parts, list[Parts]] = {}
    for slot in slots.shapes:
        for at in range(len(slot)):
            by_ending.setdefault(slot[at:], []).append(slot)
    found: dict[tuple[Parts, Parts], None] = {}
    for key in keys.shapes:
        endings = (key[at:] for at in range(len(key)))
        ending = next((each for each in endings if each in by_ending), ())
        rivals = by_ending[ending] if ending else _siblings(key, slots)
        if len(rivals) <= MAX_RIVALS:
            cut = len(ending)
            pairs = ((key[: len(key) - cut], slot[: len(slot) - cut]) for slot in rivals)
            found.update(dict.fromkeys(pairs))
    return [(old, new) for old, new in found if old.count("#") == new.count("#")]


def _siblings(key: Parts, slots: _Patterns) -> list[Parts]:
    """Return the slots of the same parent: only the last name may differ (gamma, weight)."""
    return [slot for slot in slots.shapes if slot[:-1] == key[:-1]]


def _best(
    candidates: Iterable[tuple[Parts, Parts]],
    keys: _Patterns,
    slots: _Patterns,
) -> Renaming | None:
    """Return the rule with the most evidence, or None if two equal ones contradict each other."""
    rated = []
    for old, new in candidates:
        agreeing, total = _agreement(old, new, keys, slots)
        if agreeing * 2 > total:
            rated.append(((agreeing, -len(old)), old, new, total))
    rated.sort(key=lambda each: each[0], reverse=True)
    for rank, old, new, total in rated:
        rivals = [r for r in rated if r[0] == rank and (r[1] == old) != (r[2] == new)]
        if not rivals:
            return Renaming(_lettered(old), _lettered(new), rank[0], total)
    return None


def _agreement(old: Parts, new: Parts, keys: _Patterns, slots: _Patterns) -> tuple[int, int]:
    agreeing = total = 0
    for key in keys.under(old):
        here = keys.shapes[key]
        there = slots.shapes.get((*new, *key[len(old) :]), {})
        total += len(here)
        agreeing += sum(there.get(indices) == shape for indices, shape in here.items())
    return agreeing, total


def hides_a_transposition(each: Renaming, file: Mapping[str, Shape]) -> bool:
    """Return whether a rule gives square matrices another last name, as kernel for weight."""
    old, new = each.old.split("."), each.new.split(".")
    if old[-1] == new[-1]:
        return False
    return any(
        len(shape) > 1 and shape == shape[::-1] and _is_of_rule(key, old)
        for key, shape in file.items()
    )


def _is_of_rule(key: str, rule: list[str]) -> bool:
    """Return whether a key is that of a rule; a pattern made of a long key would take 100 MB."""
    parts = key.split(".")
    return len(parts) == len(rule) and all(
        part.isdecimal() if "{" in each else part == each
        for part, each in zip(parts, rule, strict=True)
    )


def with_letters(path: str) -> str:
    """Return a path with a letter for each index, as ``rename`` takes it.

    >>> with_letters("h.0.mlp.1")
    'h.{i}.mlp.{j}'
    """
    if len(INDEX_SEGMENT.findall(path)) > len(_LETTERS):
        return path
    letters = iter(_LETTERS)
    return INDEX_SEGMENT.sub(lambda _: f"{{{next(letters)}}}", path)


def _lettered(parts: Parts) -> str:
    """Return one side of a rule as ``rename`` takes it, with a letter for each index."""
    letters = iter(_LETTERS)
    return ".".join(f"{{{next(letters)}}}" if part == "#" else part for part in parts)


def _parts(text: str) -> Parts:
    return tuple(re.sub(r"\{\w\}", "#", text).split(".")) if text else ()

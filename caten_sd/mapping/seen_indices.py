"""The indices that rules have seen in keys: how many there are, and which one is missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from caten_sd.mapping.patterns import is_index
from caten_sd.mapping.rules import Rule

Indices = tuple[str, ...]


class SeenIndices:
    """For each rule the indices of counted labels that its keys have, each with one such key."""

    def __init__(self, counted: Iterable[str]) -> None:
        self._counted = [label for label in counted if is_index(label)]
        self._rules: dict[int, tuple[Rule, tuple[str, ...], dict[Indices, str]]] = {}

    def labels(self, captured: Iterable[str]) -> tuple[str, ...]:
        """Return those of the captures that are counted."""
        names = set(captured)
        return tuple(label for label in self._counted if label in names)

    def of(self, rule: Rule, labels: tuple[str, ...]) -> dict[Indices, str]:
        """Return the indices that a rule has seen, to be added to."""
        return self._rules.setdefault(id(rule), (rule, labels, {}))[2]

    def counts(self) -> dict[str, int]:
        """Return how many of each label there are, by the largest that a key has."""
        return {label: max(found) + 1 for label, found in self._by_label().items()}

    def gap(self) -> str:
        """Return what says which index is missing between others, or "" if none is."""
        return next(itertools.chain(self._between(), self._apart()), "")

    def _between(self) -> Iterator[str]:
        """Yield for each label the first index that no rule has seen, though larger ones are."""
        for label, found in self._by_label().items():
            first, last = min(found), max(found)
            if len(found) <= last - first:
                missing = next(n for n in range(first, last) if n not in found)
                rule, key = found[min(n for n in found if n > missing)]
                yield f"{_taken(rule, key)}, and no row takes a key with {{{label}}} = {missing}"

    def _apart(self) -> Iterator[str]:
        """Yield for each rule of several labels the first indices that are not together."""
        for rule, labels, seen in self._rules.values():
            axes = [sorted({each[at] for each in seen}, key=int) for at in range(len(labels))]
            if len(labels) > 1 and len(seen) < _product(axes):
                missing = next(each for each in itertools.product(*axes) if each not in seen)
                alike = max(seen, key=lambda each: _agreeing(each, missing))
                wanted = zip(labels, missing, strict=True)
                names = " and ".join(f"{{{label}}} = {index}" for label, index in wanted)
                yield f"{_taken(rule, seen[alike])}, and none with {names}"

    def _by_label(self) -> dict[str, dict[int, tuple[Rule, str]]]:
        found: dict[str, dict[int, tuple[Rule, str]]] = {}
        for rule, labels, seen in self._rules.values():
            for indices, key in seen.items():
                for label, index in zip(labels, indices, strict=True):
                    found.setdefault(label, {}).setdefault(int(index), (rule, key))
        return found


def _taken(rule: Rule, key: str) -> str:
    return f"row ({rule.row}) takes {key}"


def _product(axes: Iterable[Sequence[str]]) -> int:
    total = 1
    for axis in axes:
        total *= len(axis)
    return total


def _agreeing(one: Indices, other: Indices) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))

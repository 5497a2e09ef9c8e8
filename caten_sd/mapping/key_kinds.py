"""The keys of a state dict, those that are alike but for their numbers together.

Which layout names them is then decided once for each kind, however many layouts and keys there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.mapping.companions import accompanied
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.pattern_pieces import taken_apart
from caten_sd.mapping.templates import Matcher
from caten_sd.state.leaf import spec_or_none

Places = tuple[int, ...]  # of numbers in a key


class AlikeKeys(NamedTuple):
    """Keys that have the same numbers at some places: the items' positions, and one's numbers."""

    positions: list[int]
    numbers: Sequence[str]


class KeyKinds:
    """Items by the template of their keys, which has a sign for each number.

    A packed weight and its scales are one item; ``members`` has the keys of such ones.
    """

    def __init__(self, items: Sequence[Item], members: Mapping[str, Sequence[str]]) -> None:
        self.items, self.members = items, members
        self.templates: dict[str, list[int]] = {}
        self._numbers: list[list[str]] = []
        for position, item in enumerate(items):
            template, numbers = taken_apart(item.key)
            self.templates.setdefault(template, []).append(position)
            self._numbers.append(numbers)
        self._alike: dict[tuple[str, Places], dict[tuple[str, ...], AlikeKeys]] = {}
        self._shapes: dict[str, dict[Any, int]] = {}

    def count(self, positions: Iterable[int]) -> int:
        """Return how many keys the items at these positions stand for."""
        positions = list(positions)
        if not self.members:
            return len(positions)
        return sum(len(self.members.get(self.items[at].key, " ")) for at in positions)

    def alike(self, template: str, places: Places) -> dict[tuple[str, ...], AlikeKeys]:
        """Return the keys of a template by their numbers at these places."""
        found = self._alike.get((template, places))
        if found is None:
            found = self._alike[template, places] = {}
            for position in self.templates[template]:
                numbers = self._numbers[position]
                at = tuple([numbers[place] for place in places])
                found.setdefault(at, AlikeKeys([], numbers)).positions.append(position)
        return found

    def shapes(self, template: str) -> dict[Any, int]:
        """Return the first item of each shape that keys of a template have."""
        found = self._shapes.get(template)
        if found is None:
            found = self._shapes[template] = {}
            for position in self.templates[template]:
                known = spec_or_none(self.items[position].leaf)
                found.setdefault(known and known.shape, position)
        return found

    def numbers(self, position: int) -> Sequence[str]:
        """Return the numbers of an item's key."""
        return self._numbers[position]


class Arranged(NamedTuple):
    """The kinds of all keys, with packed weights as one item each, and with each key alone."""

    joined: KeyKinds
    alone: KeyKinds
    scales: frozenset[str]  # the templates of keys that are one item with a packed weight

    def seen_by(self, names: Matcher[Any]) -> KeyKinds:
        """Return the kinds as a layout sees them: scales are alone if it has rows for them."""
        has_rows = any(True for each in self.scales for _ in names.matches(each))
        return self.alone if has_rows else self.joined


def arranged(items: Sequence[Item]) -> Arranged:
    """Return the kinds of the items' keys."""
    joined, members = accompanied(items, lambda key: False)
    alone = KeyKinds(items, {})
    scales = frozenset(taken_apart(key)[0] for _, *others in members.values() for key in others)
    return Arranged(KeyKinds(joined, members) if members else alone, alone, scales)

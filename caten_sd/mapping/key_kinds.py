"""The keys of a state dict, those that are alike but for their numbers together.

Which layout names them is then decided once for each kind, however many layouts and keys there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.mapping.companions import accompanied
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.pattern_pieces import taken_apart
from caten_sd.mapping.templates import Matcher
from caten_sd.state.leaf import spec_or_none

MAX_PREFIX = 8  # segments that all keys may begin with

Places = tuple[int, ...]  # of numbers in a key


class AlikeKeys(NamedTuple):
    """Keys that have the same numbers at some places: the items' positions, and one's numbers."""

    positions: list[int]
    numbers: Sequence[str]


class KeyKinds:
    """Items by the template of their keys, which has a sign for each number.

    A packed weight and its scales are one item; ``members`` has the keys of such ones.
    ``templates`` has the positions of the items of each template.
    """

    def __init__(
        self,
        items: Sequence[Item],
        members: Mapping[str, Sequence[str]],
        templates: Mapping[str, list[int]],
        numbers: Sequence[Sequence[str]],
    ) -> None:
        self.items, self.members, self.templates = items, members, templates
        self._numbers = numbers
        self._alike: dict[tuple[str, Places], dict[tuple[str, ...], AlikeKeys]] = {}
        self._shapes: dict[str, dict[Any, int]] = {}

    @classmethod
    def of(cls, items: Sequence[Item], members: Mapping[str, Sequence[str]]) -> KeyKinds:
        """Return the kinds of the items' keys."""
        templates: dict[str, list[int]] = {}
        every: list[list[str]] = []
        for position, item in enumerate(items):
            template, numbers = taken_apart(item.key)
            templates.setdefault(template, []).append(position)
            every.append(numbers)
        return cls(items, members, templates, every)

    def without(self, prefix: str) -> KeyKinds:
        """Return the kinds of the same items, without a prefix that all their keys have."""
        start, numbers = len(prefix), self._numbers
        items = [
            each._replace(key=each.key[start:], origin=each.origin[start:]) for each in self.items
        ]
        members = {
            name[start:]: [key[start:] for key in keys] for name, keys in self.members.items()
        }
        if gone := len(taken_apart(prefix)[1]):
            numbers = [each[gone:] for each in numbers]
        return KeyKinds(items, members, dict(self.shortened(prefix)), numbers)

    def shortened(self, prefix: str) -> Iterator[tuple[str, list[int]]]:
        """Yield each template without the prefix, and the positions of its items."""
        start = len(taken_apart(prefix)[0])
        return ((template[start:], at) for template, at in self.templates.items())

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

    def without(self, prefix: str) -> Arranged:
        """Return the kinds of the same items, without a prefix that all their keys have."""
        alone, start = self.alone.without(prefix), len(taken_apart(prefix)[0])
        joined = alone if self.joined is self.alone else self.joined.without(prefix)
        return Arranged(joined, alone, frozenset(each[start:] for each in self.scales))


def arranged(items: Sequence[Item]) -> Arranged:
    """Return the kinds of the items' keys."""
    joined, members = accompanied(items, lambda key: False)
    alone = KeyKinds.of(items, {})
    scales = frozenset(taken_apart(key)[0] for _, *others in members.values() for key in others)
    return Arranged(KeyKinds.of(joined, members) if members else alone, alone, scales)


def common_prefixes(keys: Collection[str]) -> list[str]:
    """Return what all keys begin with, segment by segment, the shortest first.

    A number is not a prefix, since it counts the models of a list.

    >>> common_prefixes(["model.net.0.w", "model.net.0.b"])
    ['model.', 'model.net.']
    """
    ends = [key.split(".")[:-1] for key in (min(keys), max(keys))] if keys else [[]]
    found: list[str] = []
    for segments in list(zip(*ends, strict=False))[:MAX_PREFIX]:
        if len({*segments}) > 1 or segments[0].isdecimal():
            break
        found.append(f"{found[-1] if found else ''}{segments[0]}.")
    return found

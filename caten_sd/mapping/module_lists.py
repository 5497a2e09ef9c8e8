"""Lists of modules in two models, and which of their members are at the same place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from caten_sd.mapping.name_trees import NameNode

Pair = tuple[NameNode, NameNode]
Numbers = tuple[int, ...]

_NUMBER = re.compile(r"[0-9]+")
_INDEX = re.compile(r"(?<![^./])#(?![^./])")  # as in layers.0, not as in conv1


class Listed:
    """A module with the numbers that its name has in a module around it.

    ``text`` is that name with a sign for each number, and ``list_name`` what is before the first.
    """

    def __init__(self, node: NameNode, outer: NameNode) -> None:
        self.node = node
        name = node.name_in(outer)
        self.numbers: Numbers = tuple(int(number[:18]) for number in _NUMBER.findall(name))
        self.text = _NUMBER.sub("#", name)
        self.list_name = self.text.partition("#")[0]


def by_list(nodes: Iterable[NameNode], outer: NameNode) -> dict[str, list[Listed]]:
    """Return modules by the name of the list that each one is in.

    >>> outer, names = NameNode("", (2, 0)), ("down.0.conv", "down.1.conv", "up.0.conv")
    >>> list(by_list([NameNode(name, (1, 0), outer) for name in names], outer))
    ['down.', 'up.']
    """
    found: dict[str, list[Listed]] = {}
    for node in nodes:
        each = Listed(node, outer)
        found.setdefault(each.list_name, []).append(each)
    return found


def in_order(
    own: Sequence[Listed], others: Sequence[Listed], known: Iterable[tuple[Listed, Listed]]
) -> Iterable[Pair]:
    """Yield the pairs of two lists, one after the other; ``known`` shows if one counts back."""
    if len(own) != len(others):
        return
    for side in (own, others):
        numbers = {each.numbers for each in side}
        if len(numbers) < len(side) or len({each.text for each in side}) > 1:
            return
    lists = own[0].list_name, others[0].list_name
    firsts = [
        (one.numbers[0], other.numbers[0])
        for one, other in known
        if one.numbers and other.numbers and (one.list_name, other.list_name) == lists
    ]
    directions = {
        (one < after) == (other < then)
        for (one, other), (after, then) in pairwise(firsts)
        if one != after and other != then
    }
    if len(directions) > 1:
        return
    sign = -1 if directions == {False} else 1
    left = sorted(own, key=lambda each: each.numbers)
    right = sorted(others, key=lambda each: (*(sign * n for n in each.numbers[:1]), *each.numbers))
    yield from ((one.node, other.node) for one, other in zip(left, right, strict=True))


def in_place(around: Pair, found: Iterable[Pair]) -> Iterable[Pair]:
    """Yield pairs but those of two lists, as long as each other, that run unlike in them."""
    lists: dict[tuple[str, str], list[tuple[Listed, Listed]]] = {}
    for one, other in found:
        pair = Listed(one, around[0]), Listed(other, around[1])
        lists.setdefault((pair[0].text, pair[1].text), []).append(pair)
    if not any("#" in text for text, _ in lists):
        places: list[dict[str, dict[Numbers, int]]] = [{}, {}]
    else:
        places = [_places(outer) for outer in around]
    for (text, other_text), pairs in lists.items():
        here, there = places[0].get(text, {}), places[1].get(other_text, {})
        are_lists = _INDEX.search(text) and _INDEX.search(other_text)
        if not are_lists or len(here) != len(there) or _run_alike(pairs, here, there):
            yield from ((one.node, other.node) for one, other in pairs)


def _run_alike(
    pairs: Sequence[tuple[Listed, Listed]],
    here: Mapping[Numbers, int],
    there: Mapping[Numbers, int],
) -> bool:
    """Return whether members of two lists are at the same places, or at those from the end."""
    if all(here.get(one.numbers) == there.get(other.numbers) for one, other in pairs):
        return True
    ends = min(here)[0] + max(there)[0]
    return all(one.numbers[0] + other.numbers[0] == ends for one, other in pairs)


def _places(outer: NameNode) -> dict[str, dict[Numbers, int]]:
    """Return the place of each member of all lists in a module."""
    found: dict[str, list[Numbers]] = {}
    for node in outer.below():
        each = Listed(node, outer)
        if each.numbers:
            found.setdefault(each.text, []).append(each.numbers)
    return {text: {each: n for n, each in enumerate(sorted(own))} for text, own in found.items()}

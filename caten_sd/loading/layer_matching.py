"""Which layer of one model is which of another, by names, by kinds and shapes, and by numbers.

Names count where the layers that they name are alike. Layers that nothing else is like are one
another. What is alike is in the order of the numbers in its names, if it has such. Nothing else is
decided: a wrong pair of layers of one shape would not be noticed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs

from caten_sd.loading.layer_shapes import Likeness
from caten_sd.mapping.layer_pairs import PlacedLayer
from caten_sd.state.renames import renamed

_WORDS = re.compile(r"[^\W\d_]+|\d+")
MOST_WORDS = 200  # of a name that are compared one by one; a file may have any number
MOST_DIGITS = 18
K = TypeVar("K")
T = TypeVar("T")

Words = tuple[str, ...]
Named = tuple[str, Words]  # a name and the words in it


@attrs.frozen
class KnownLayer:
    """A layer with its name, the words in it, and what another has to be to be the same one."""

    layer: PlacedLayer
    name: str
    words: Words
    likeness: Likeness

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in its name."""
        return tuple(int(word) for word in self.words if is_number(word))

    @property
    def template(self) -> Words:
        """Its name without the numbers."""
        return tuple("" if is_number(word) else word for word in self.words)


Pair = tuple[KnownLayer, KnownLayer]


@attrs.frozen
class Matched:
    """The pairs of layers, and those of either model that are in none."""

    pairs: list[Pair]
    only_one: list[KnownLayer]
    only_other: list[KnownLayer]


def words_of(place: str) -> Words:
    """Return the words and the numbers of a name, whatever is between them.

    >>> words_of("Block_0.mlp.fc1")
    ('block', '0', 'mlp', 'fc', '1')
    """
    return tuple(word.lower() for word in _WORDS.findall(place))


def is_number(word: str) -> bool:
    """Return whether a word of a name is a number that counts layers."""
    return word.isdecimal() and len(word) <= MOST_DIGITS


def root_of(layers: Sequence[PlacedLayer]) -> str:
    """Return what the names of all layers begin with, as "params." in Flax."""
    places = [layer.place for layer in layers]
    first = places[0].partition(".")[0] if len(places) > 1 else ""
    return f"{first}." if first and all(each.startswith(f"{first}.") for each in places) else ""


def words_by_place(
    places: Sequence[str], names: Mapping[str, str], root: str, other_root: str
) -> dict[str, Named]:
    """Return the name of each place and its words, as renamed.

    The name is without the root of the model, or without that of the other if it is renamed.
    """
    new = renamed(places, names) if names else dict(zip(places, places, strict=True))
    short = {
        place: name.removeprefix(root if name == place else other_root)
        for place, name in new.items()
    }
    return {place: (name, words_of(name)) for place, name in short.items()}


def matched(one: Sequence[KnownLayer], other: Sequence[KnownLayer]) -> Matched:
    """Return which layers of two models are one another."""
    pairs, left, others = _within(list(one), list(other), 0, 0)
    return Matched(pairs, left, others)


Left = tuple[list[Pair], list[KnownLayer], list[KnownLayer]]


def _within(one: list[KnownLayer], other: list[KnownLayer], at: int, to: int) -> Left:
    """Match layers whose names begin with ``at`` and ``to`` words that are settled already."""
    at, to = _shared(one, at), _shared(other, to)
    if len(one) == len(other) == 1:
        is_same = one[0].likeness == other[0].likeness
        return ([(one[0], other[0])], [], []) if is_same else ([], one, other)
    groups, others = _by_word(one, at), _by_word(other, to)
    pairs: list[Pair] = []
    left: list[KnownLayer] = []
    right: list[KnownLayer] = []
    for word, word_of_other in _settled(groups, others) if max(at, to) < MOST_WORDS else ():
        found = _within(groups.pop(word), others.pop(word_of_other), at + 1, to + 1)
        pairs += found[0]
        left += found[1]
        right += found[2]
    left += [each for group in groups.values() for each in group]
    right += [each for group in others.values() for each in group]
    found = _by_likeness(left, right)
    return pairs + found[0], found[1], found[2]


def _shared(layers: Sequence[KnownLayer], at: int) -> int:
    """Return up to which word all names are the same, but for the last word of one."""
    while layers and all(len(each.words) > at + 1 for each in layers):
        if len({each.words[at] for each in layers}) > 1:
            break
        at += 1
    return at


Groups = dict[str, list[KnownLayer]]


def _by_word(layers: Iterable[KnownLayer], at: int) -> Groups:
    """Return layers by the word at a place; those whose names have ended have none, ""."""
    found: Groups = {}
    for each in layers:
        found.setdefault(each.words[at] if at < len(each.words) else "", []).append(each)
    return found


def _settled(groups: Groups, others: Groups) -> list[tuple[str, str]]:
    """Return which words of two models are one another: equal, numbered, or alone alike."""
    kinds, other_kinds = _tallies(groups), _tallies(others)
    found = [
        (word, word)
        for word in groups
        if word in others and word and not is_number(word)
        if _share_a_kind(kinds[word], other_kinds[word])
    ]
    found += _numbered(kinds, other_kinds)
    seen, other_seen = {one for one, _ in found}, {other for _, other in found}
    left = {word: kinds[word] for word in groups if word and word not in seen}
    right = {word: other_kinds[word] for word in others if word and word not in other_seen}
    return found + _alone_alike(left, right)


Tally = frozenset[tuple[Likeness, int]]  # how many layers of each kind and shape


def _tallies(groups: Groups) -> dict[str, Tally]:
    return {
        word: frozenset(Counter(each.likeness for each in group).items())
        for word, group in groups.items()
    }


def _share_a_kind(one: Tally, other: Tally) -> bool:
    return not {kind for kind, _ in one}.isdisjoint(kind for kind, _ in other)


def _numbered(kinds: dict[str, Tally], others: dict[str, Tally]) -> list[tuple[str, str]]:
    """Return which numbers are one another: those of groups that are alike, in their order."""
    found: list[tuple[str, str]] = []
    alike, other_alike = (
        _grouped(sorted(filter(is_number, each), key=int), each.__getitem__)
        for each in (kinds, others)
    )
    for tally, numbers in alike.items():
        same = other_alike.get(tally, [])
        if len(numbers) == len(same):
            found += zip(numbers, same, strict=True)
    return found


def _alone_alike(left: dict[str, Tally], right: dict[str, Tally]) -> list[tuple[str, str]]:
    """Return the words of which each has layers that those of no other word are like."""
    alike, other_alike = (_grouped(each, each.__getitem__) for each in (left, right))
    return [
        (words[0], other_alike[tally][0])
        for tally, words in alike.items()
        if len(words) == len(other_alike.get(tally, [])) == 1
    ]


def _by_likeness(one: list[KnownLayer], other: list[KnownLayer]) -> Left:
    """Match layers without regard to where they are: those alone alike, and those with numbers.

    Where neither tells, names do: the very same, or one that ends in the other.
    """
    groups, others = (_grouped(each, lambda layer: layer.likeness) for each in (one, other))
    pairs: list[Pair] = []
    for kind, group in groups.items():
        same = others.get(kind, [])
        is_ordered = len(group) == 1 or (_is_numbered(group) and _is_numbered(same))
        if is_ordered and len(group) == len(same):
            order = sorted(group, key=lambda each: each.numbers)
            pairs += zip(order, sorted(same, key=lambda each: each.numbers), strict=True)
        else:
            pairs += _by_name(group, same)
    seen = {id(each) for pair in pairs for each in pair}
    return (
        pairs,
        [each for each in one if id(each) not in seen],
        [each for each in other if id(each) not in seen],
    )


def _by_name(one: Sequence[KnownLayer], other: Sequence[KnownLayer]) -> list[Pair]:
    """Match layers of the very same name, and then those of which one name ends in the other."""
    named = {each.name: each for each in other}
    pairs = [(each, named[each.name]) for each in one if each.name in named]
    seen = {id(each) for pair in pairs for each in pair}
    left, right = ([each for each in side if id(each) not in seen] for side in (one, other))
    pairs += _by_end(left, right)
    return pairs + [(mine, its) for its, mine in _by_end(right, left)]


def _by_end(longer: Sequence[KnownLayer], shorter: Sequence[KnownLayer]) -> list[Pair]:
    """Match layers whose names end in the name of one of the others, and of no second one."""
    known = _grouped(shorter, lambda each: each.words)
    ends = [
        (each, known[each.words[at:]])
        for each in longer
        for at in range(1, min(len(each.words), MOST_WORDS))
        if each.words[at:] in known
    ]
    hits = Counter(id(each) for layer, found in ends for each in (layer, *found))
    return [
        (layer, found[0])
        for layer, found in ends
        if len(found) == 1 and hits[id(layer)] == hits[id(found[0])] == 1
    ]


def _grouped(things: Iterable[T], kind: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for each in things:
        found.setdefault(kind(each), []).append(each)
    return found


def _is_numbered(group: Sequence[KnownLayer]) -> bool:
    """Return whether layers have names that differ in numbers alone."""
    same = len({each.template for each in group}) == 1 and bool(group[0].numbers)
    return same and len({each.numbers for each in group}) == len(group)

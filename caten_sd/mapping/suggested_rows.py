"""Pairs of names that do not meet, proposed by names and shapes alone; none is ever applied.

Numbers are taken out of the keys, so that all layers are paired at once. Names are paired where
their indices and their sizes are the same: told by that, where there is one on each side, or by the
modules that hold them, else guessed by their words, and left open where two guesses are near each
other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from caten_sd.mapping.key_templates import (
    Class,
    Shape,
    Template,
    outer_modules,
    parent_module,
    templates,
)
from caten_sd.mapping.module_pairs import tensors_by_module
from caten_sd.mapping.name_words import MOST, guessed, words
from caten_sd.mapping.template_pairs import paired_templates, without_keys

Sizes = tuple[int, ...]
Groups = dict[Class, list[Template]]
Kind = Callable[[Template], Class]

_MOST_COMPARED = 500_000  # pairs of names of all kinds, which take about 20 s


class Suggested(NamedTuple):
    """Two templates that may be the same tensors.

    ``told`` is whether no others have their sizes, and ``placed`` whether modules of the same sizes
    hold them; else ``score`` says how alike the words are, from 0 to 1.
    """

    a: Template
    b: Template
    score: float
    told: bool
    placed: bool = False


class Suggestions(NamedTuple):
    """Pairs of templates, and those of each side that are left open.

    ``turned`` is whether the matrices of layers have their axes reversed in B.
    """

    pairs: Sequence[Suggested]
    a: Sequence[Template]
    b: Sequence[Template]
    turned: bool


def suggestions(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> Suggestions:
    """Return pairs of names of A and B, from the shapes of their tensors.

    >>> found = suggestions({"h.0.q": (2, 2), "h.1.q": (2, 2)}, {"l.0.w": (2, 2), "l.1.w": (2, 2)})
    >>> [(each.a.text, each.b.text, each.told) for each in found.pairs]
    [('h.{i}.q', 'l.{i}.w', True)]
    """
    here, there = templates(a), templates(b)
    turned = _are_turned(here, there)
    search = _NamePairing(here, there, turned)
    search.place(tensors_by_module(a, b))
    for step in (search.tell, search.modules, search.guess, search.guess_near):
        step()
        search.follow()
    place = {key: n for n, key in enumerate(a)}
    pairs = sorted(search.pairs, key=lambda each: place[next(iter(each.a.keys))])
    return Suggestions(pairs, [*search.a.values()], [*search.b.values()], bool(turned))


class _NamePairing:
    def __init__(self, a: Sequence[Template], b: Sequence[Template], turned: bool | None) -> None:
        self.a, self.b = ({each.text: each for each in own} for own in (a, b))
        self.pairs: list[Suggested] = []
        self._texts = [{each.text for each in own} for own in (a, b)]
        self._kinds = [Counter(each.kind() for each in own) for own in (a, b)]
        self._sizes = [_counts_of_sizes(own) for own in (a, b)]
        self._turned = turned
        self._compared = 0

    def _here(self, each: Template) -> Class:
        return each.kind(self._turned)

    def _there(self, each: Template) -> Class:
        return each.kind(None if self._turned is None else False)

    def _add(self, a: Template, b: Template, score: float, *, told: bool = False) -> None:
        self.pairs.append(Suggested(a, b, score, told))
        del self.a[a.text], self.b[b.text]

    def place(self, found: Mapping[str, str]) -> None:
        """Pair the names that modules of the same sizes tell, all of a template or one by one."""
        here, there = list(self.a.values()), list(self.b.values())
        for a, b in paired_templates(here, there, found):
            told = self._is_alone(a, 0) and self._is_alone(b, 1) and a.kind() == b.kind()
            self.pairs.append(Suggested(a, b, 1.0, told, placed=True))
        self.a = {each.text: each for each in without_keys(here, found.keys())}
        self.b = {each.text: each for each in without_keys(there, set(found.values()))}

    def tell(self) -> None:
        """Pair those of which each side has one with such indices and sizes."""
        here, there = (_grouped(own.values(), Template.kind) for own in (self.a, self.b))
        for kind, own in here.items():
            others = there.get(kind, [])
            is_told = len(own) == len(others) == 1 and self._is_alone(own[0], 0)
            if is_told and self._is_alone(others[0], 1):
                self._add(own[0], others[0], 1.0, told=True)

    def _is_alone(self, each: Template, side: int) -> bool:
        """Return whether no others of its side have such sizes, with its indices if it has some."""
        if each.text in self._texts[side]:
            return self._kinds[side][each.kind()] == 1
        return self._sizes[side][each.kind()[1]] == 1  # a part of a template

    def follow(self) -> None:
        """Pair what is left of two modules of which other tensors are paired."""
        known = {each.a.module: each for each in self.pairs}
        here, there = _modules(self.a.values()), _modules(self.b.values())
        for module, own in here.items():
            pair = known.get(module)
            if pair is None or not module or not pair.b.module:
                continue
            kinds = _grouped(own, self._here)
            left = [each for each in there.get(pair.b.module, []) if each.text in self.b]
            others = _grouped(left, self._there)
            for kind, alike in kinds.items():
                if len(alike) == len(others.get(kind, [])) == 1:
                    self._add(alike[0], others[kind][0], pair.score)

    def modules(self) -> None:
        """Guess pairs of modules with the same kinds of tensors, and so pairs of these."""
        here = _by_kinds(_modules(self.a.values()), self._here)
        there = _by_kinds(_modules(self.b.values()), self._there)
        for kinds, own in here.items():
            others = there.get(kinds, {})
            for one, other, score in self._guessed(own, others):
                for first, second in self._members(own[one], others[other]):
                    self._add(first, second, score)

    def guess_near(self) -> None:
        """Guess pairs of what is left, with what is known of those that are paired around it."""
        self.guess({**self._around(self.a, 0), **self._around(self.b, 1)})

    def guess(self, around: Mapping[str, Collection[str]] | None = None) -> None:
        """Guess pairs of what is left."""
        here = _grouped(self.a.values(), self._here)
        there = _grouped(self.b.values(), self._there)
        for kind, own in here.items():
            texts = [[each.text for each in side] for side in (own, there.get(kind, []))]
            for one, other, score in self._guessed(texts[0], texts[1], around):
                self._add(self.a[one], self.b[other], score)

    def _around(self, own: Mapping[str, Template], side: int) -> dict[str, Collection[str]]:
        """Return the words of all counterparts of the tensors near a name, but of those farther."""
        known: dict[str, set[str]] = {}
        for pair in self.pairs:
            sides = pair.a, pair.b
            said = set(words(sides[1 - side].text))
            for outer in (*outer_modules(sides[side].text), ""):
                known.setdefault(outer, set(said)).intersection_update(said)
        found: dict[str, Collection[str]] = {}
        for text in own:
            near = next((outer for outer in outer_modules(text) if outer in known), "")
            if near:
                found[text] = known[near] - known[parent_module(near)]
        return found

    def _members(
        self, one: Sequence[Template], other: Sequence[Template]
    ) -> Iterator[tuple[Template, Template]]:
        """Yield the pairs of tensors of two modules: by kind, and by words within one kind."""
        here, there = _grouped(one, self._here), _grouped(other, self._there)
        for kind, own in here.items():
            if len(own) == 1:
                yield own[0], there[kind][0]
            else:
                texts = [[each.text for each in side] for side in (own, there[kind])]
                known = self._guessed(texts[0], texts[1])
                yield from ((self.a[first], self.b[second]) for first, second, _ in known)

    def _guessed(
        self,
        a: Collection[str],
        b: Collection[str],
        around: Mapping[str, Collection[str]] | None = None,
    ) -> Iterable[tuple[str, str, float]]:
        """Return pairs of names that are alike, none once too many have been compared."""
        self._compared += min(len(a) * len(b), MOST)
        return guessed(list(a), list(b), around) if self._compared <= _MOST_COMPARED else []


def _are_turned(a: Sequence[Template], b: Sequence[Template]) -> bool | None:
    """Return whether matrices of layers have their axes reversed in B; None if that is unknown."""
    here, there = (Counter((t.indices, t.shape) for t in own) for own in (a, b))
    said = set()
    for (indices, shape), count in here.items():
        if len(shape) != 2 or shape[0] == shape[1] or indices == ((),):
            continue
        counts = count, here[indices, shape[::-1]]
        others = there[indices, shape], there[indices, shape[::-1]]
        if counts[0] != counts[1] and sorted(counts) == sorted(others):
            said.add(counts != others)
    return said.pop() if len(said) == 1 else None


def _counts_of_sizes(own: Iterable[Template]) -> Counter[Sizes]:
    found: Counter[Sizes] = Counter()
    for each in own:
        found[each.kind()[1]] += each.tensors
    return found


def _grouped(found: Iterable[Template], kind: Kind) -> Groups:
    groups: Groups = {}
    for each in found:
        groups.setdefault(kind(each), []).append(each)
    return groups


def _modules(found: Iterable[Template]) -> dict[str, list[Template]]:
    members: dict[str, list[Template]] = {}
    for each in found:
        members.setdefault(each.module, []).append(each)
    return members


def _by_kinds(
    modules: Mapping[str, list[Template]], kind: Kind
) -> dict[tuple[Class, ...], dict[str, list[Template]]]:
    """Return the modules by the kinds of their tensors."""
    groups: dict[tuple[Class, ...], dict[str, list[Template]]] = {}
    for module, own in modules.items():
        groups.setdefault(tuple(sorted(map(kind, own))), {})[module] = own
    return groups

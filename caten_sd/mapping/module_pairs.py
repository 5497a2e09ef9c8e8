"""Modules of two models that hold tensors of the same sizes, paired from the whole to its parts.

Two modules are paired where each side has one of such sizes. Several of the same sizes are paired
by what their names are in modules that are paired already, by their numbers where they are in two
lists that run alike, or by their words. What none of these tells is left open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from caten_sd.mapping.key_templates import Shape
from caten_sd.mapping.module_lists import Listed, by_list, in_order, in_place
from caten_sd.mapping.name_trees import NameNode, Sizes, name_tree
from caten_sd.mapping.name_words import guessed

Pair = tuple[NameNode, NameNode]
Alike = tuple[Sequence[NameNode], Sequence[NameNode]]
Rule = Callable[[Pair, Alike], Iterable[Pair]]

MOST_TENSORS = 20_000  # of each side
_MOST_VISITED = 3_000_000  # modules and tensors, with each visit; these take about 5 s
_MOST_COMPARED = 200_000  # pairs of names
_INDEX = re.compile(r"(?<![^./])[0-9]+(?![^./])")


def tensors_by_module(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> dict[str, str]:
    """Return the names of A and of B that modules of the same sizes tell.

    >>> a = {"down.0.conv.w": (3, 2), "down.0.norm.w": (2,), "down.1.conv.w": (4, 2)}
    >>> b = {"in.5.0.w": (3, 2), "in.5.1.w": (2,), "in.6.0.w": (4, 2)}
    >>> tensors_by_module(a, b)["down.0.norm.w"]
    'in.5.1.w'
    """
    if max(len(a), len(b)) > MOST_TENSORS:
        return {}
    search = _ModulePairing()
    search.run(name_tree(a), name_tree(b))
    return search.tensors


class _ModulePairing:
    def __init__(self) -> None:
        self.tensors: dict[str, str] = {}
        self._open: list[Pair] = []
        self._paired: tuple[dict[NameNode, NameNode], dict[NameNode, NameNode]] = ({}, {})
        self._names: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
        self._visited = 0
        self._compared = 0

    def run(self, a: NameNode, b: NameNode) -> None:
        """Pair what is in the two models, by the surest rule that tells anything."""
        self._open.append((a, b))
        rules = (_alone, _named_alike, self._known, self._listed, self._by_words)
        while any(self._apply(rule) for rule in rules):
            pass

    def _apply(self, rule: Rule) -> bool:
        """Add what a rule tells of any two modules, and return whether it told anything."""
        before = len(self._paired[0])
        for around in list(self._open):
            if self._visited < _MOST_VISITED:
                for pair in self._told(rule, around):
                    self._add(around, pair)
        return len(self._paired[0]) > before

    def _told(self, rule: Rule, around: Pair) -> Iterator[Pair]:
        here, there = (self._unpaired(each, side) for side, each in enumerate(around))
        if not here or not there:
            self._open.remove(around)
        is_whole = around[0].sizes == around[1].sizes
        for sizes in sorted(here.keys() & there.keys(), reverse=True):
            alike = self._left(around, (here[sizes], there[sizes]))
            if not alike[0] or not alike[1]:
                continue
            if is_whole:
                yield from in_place(around, list(rule(around, alike)))
            elif rule is _alone:  # with what one side lacks, others may be alone or in order
                yield from filter(_is_named, rule(around, alike))

    def _left(self, around: Pair, alike: Alike) -> Alike:
        """Return those that are not yet in a module that is paired."""
        one, other = (
            [node for node in side if not self._is_taken(node, around[n], n)]
            for n, side in enumerate(alike)
        )
        return one, other

    def _is_taken(self, node: NameNode, outer: NameNode, side: int) -> bool:
        """Return whether a module, or one around it in ``outer``, is paired."""
        at: NameNode | None = node
        while at is not None and at is not outer:
            if at in self._paired[side]:
                return True
            at = at.parent
        return False

    def _unpaired(self, outer: NameNode, side: int) -> dict[Sizes, list[NameNode]]:
        """Return the modules and tensors that are not in one that is paired, by their sizes."""
        found: dict[Sizes, list[NameNode]] = {}
        waiting = outer.inner[::-1]
        while waiting:
            node = waiting.pop()
            self._visited += 1
            if node not in self._paired[side]:
                found.setdefault(node.sizes, []).append(node)
                waiting += node.inner[::-1]
        return found

    def _add(self, around: Pair, pair: Pair) -> None:
        one, other = pair
        self._paired[0][one] = other
        self._paired[1][other] = one
        if around[0].parent is not None:
            names = one.name_in(around[0]), other.name_in(around[1])
            for side in (0, 1):
                self._names[side].setdefault(names[side], set()).add(names[1 - side])
        if one.is_tensor:
            self.tensors[one.name] = other.name
        else:
            self._open.append(pair)

    def _known(self, around: Pair, alike: Alike) -> Iterable[Pair]:
        """Yield those of which other modules show what each name is there."""
        here, there = _by_name(around, alike)
        for name, node in here.items():
            met = self._names[0].get(name, set()) & there.keys()
            if len(met) == 1:
                (other,) = met
                if len(self._names[1][other] & here.keys()) == 1:
                    yield node, there[other]

    def _listed(self, around: Pair, alike: Alike) -> Iterable[Pair]:
        """Yield those of lists that other pairs put together, one after the other."""
        known = [
            (Listed(node, around[0]), Listed(self._paired[0][node], around[1]))
            for node in around[0].below()
            if node in self._paired[0]
        ]
        here, there = (by_list(*each) for each in zip(alike, around, strict=True))
        together = {(one.list_name, other.list_name) for one, other in known}
        together = {(a, b) for a, b in together if a in here and b in there}
        if len(here) == len(there) == 1:
            together = {(next(iter(here)), next(iter(there)))}
        for one, other in together:
            if sum(one == a or other == b for a, b in together) == 1:
                yield from in_order(here[one], there[other], known)

    def _by_words(self, around: Pair, alike: Alike) -> Iterable[Pair]:
        """Yield those whose words are alike, where they are not in a list."""
        here, there = _by_name(around, alike)
        self._compared += len(here) * len(there)
        if around[0].parent is None or self._compared > _MOST_COMPARED:
            return
        if all(len({_INDEX.sub("#", name) for name in own}) == len(own) for own in (here, there)):
            for one, other, _ in guessed(list(here), list(there)):
                yield here[one], there[other]


def _alone(around: Pair, alike: Alike) -> Iterable[Pair]:
    """Yield the only ones of their sizes."""
    if len(alike[0]) == len(alike[1]) == 1:
        yield alike[0][0], alike[1][0]


def _named_alike(around: Pair, alike: Alike) -> Iterable[Pair]:
    """Yield those of the same names, if all are."""
    here, there = _by_name(around, alike)
    if here.keys() == there.keys():
        yield from ((here[name], there[name]) for name in here)


def _is_named(pair: Pair) -> bool:
    """Return whether two are modules, neither of them one of a list."""
    return not any(node.is_tensor or re.search("[0-9]", node.name) for node in pair)


def _by_name(around: Pair, alike: Alike) -> tuple[dict[str, NameNode], dict[str, NameNode]]:
    here, there = (
        {node.name_in(outer): node for node in side}
        for outer, side in zip(around, alike, strict=True)
    )
    return here, there

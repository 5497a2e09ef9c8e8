"""Apply the rules of one side of a layout to the keys of a state dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup, Numbers, solve
from caten_sd.mapping.operations import POSITION, Coordinates, Operand, Operation
from caten_sd.mapping.rows import Drop
from caten_sd.mapping.rules import Rule, Side, missing_inputs
from caten_sd.state.leaf import spec_or_none


class Item(NamedTuple):
    """A leaf between two layouts: its key by now, and the first key that it came from."""

    key: str
    leaf: Any
    origin: str
    foreign: bool = False  # no row takes it: it stays as it is
    plain: bool = True  # it was only renamed


class RuleRun(NamedTuple):
    """What the rules made of the items: these under new names, and what happened to the others.

    ``dropped`` gives the reason for each dropped key. ``untaken`` are the keys that no rule took.
    ``fired`` holds the ids of the rules that took a key. ``counts`` says for each captured index
    how many of it there are, by the largest that a key has.
    """

    items: list[Item]
    dropped: dict[str, str]
    untaken: list[str]
    fired: set[int]
    counts: dict[str, int]

    def idle(self, side: Side) -> list[Rule]:
        """Return the rules that took no key and are not optional."""
        return [r for r in side.rules if id(r) not in self.fired and not r.row.optional]


def run_rules(
    name: str,
    side: Side,
    items: Iterable[Item],
    lookup: Lookup,
    *,
    counted: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> RuleRun:
    """Take items through the rules of one side of the layout of this name, in order.

    ``counted`` names the number that each captured index counts, as in ``Layout.counts``.
    ``lenient`` leaves out what a rule cannot make instead of raising, for a look at shapes.
    """
    return _RuleRunner(name, side, lookup, counted or {}, lenient).run(list(items))


class _Gathered:
    """The leaves that one rule takes together, each at its coordinates."""

    def __init__(self, rule: Rule, captured: dict[str, str], origin: str) -> None:
        self.rule, self.captured, self.origin = rule, captured, origin
        self.operand: Operand = {}
        self.keys: dict[Coordinates, str] = {}

    def length(self, label: str) -> int:
        """Return how many of a stacked index there are."""
        return max(dict(at)[label] for at in self.keys) + 1


class _RuleRunner:
    def __init__(
        self, name: str, side: Side, lookup: Lookup, counted: Mapping[str, str], lenient: bool
    ) -> None:
        self.name, self.side, self.lookup, self.lenient = name, side, lookup, lenient
        self.counted = counted
        self.counts = dict.fromkeys(counted, 0)
        self.dropped: dict[str, str] = {}
        self.untaken: list[str] = []
        self.fired: set[int] = set()
        self._bound: dict[int, Operation] = {}
        self._made: dict[Any, Operand] = {}
        self._shared: set[int] = set()

    def run(self, items: list[Item]) -> RuleRun:
        """Return the items under their new names, in the order of the first key of each."""
        uses = Counter(id(item.leaf) for item in items)
        self._shared = {leaf for leaf, count in uses.items() if count > 1}
        groups: dict[Any, _Gathered] = {}
        taken: list[_Gathered | Item] = []
        for item in items:
            found = item if item.foreign else self._take(item, groups)
            if found is not None:
                taken.append(found)
        if not self.lenient:
            self._check_counts([each for each in taken if isinstance(each, _Gathered)])
        made: list[Item] = []
        for each in taken:
            made += [each] if isinstance(each, Item) else self._make(each)
        counts = {label: count for label, count in self.counts.items() if count}
        return RuleRun(made, self.dropped, self.untaken, self.fired, counts)

    def _take(self, item: Item, groups: dict[Any, _Gathered]) -> _Gathered | Item | None:
        """Return what replaces the item; None if it is dropped or joins leaves gathered before."""
        rule, position, captured = self._taker(item)
        if rule is None:
            self.untaken.append(item.key)
            return item._replace(foreign=True)
        if isinstance(rule, Drop):
            self.dropped[item.key] = rule.reason
            return None
        self.fired.add(id(rule))
        for label in self.counted.keys() & captured.keys():
            if captured[label].isdecimal():
                self.counts[label] = max(self.counts[label], int(captured[label]) + 1)
        if rule.simple:
            return Item(rule.outputs[0].key(captured), item.leaf, item.origin)
        stacked = {name: captured.pop(name) for name in rule.stacked}
        place = (id(rule), *sorted(captured.items()))
        group = groups.get(place) if rule.grouped else None
        if group is not None:
            self._put(group, item, _coordinates(rule, position, stacked))
            return None
        group = groups[place] = _Gathered(rule, captured, item.origin)
        self._put(group, item, _coordinates(rule, position, stacked))
        return group

    def _taker(self, item: Item) -> tuple[Rule | Drop | None, int, dict[str, str]]:
        found = self.side.matcher.find(item.key)
        for (rule, position), captured in found:
            if isinstance(rule, Drop) and rule.shape is not None:
                known = spec_or_none(item.leaf)
                if known is not None and solve(rule.shape, known.shape, {}):
                    return rule, position, captured
        for (rule, position), captured in found:
            if isinstance(rule, Rule) or rule.shape is None:
                return rule, position, captured
        return None, 0, {}

    def _put(self, group: _Gathered, item: Item, at: Coordinates) -> None:
        if at in group.keys:
            raise LayoutError(
                f"layout {self.name}: {group.keys[at]} and {item.origin} are both "
                f"{item.key}; remove one of them"
            )
        group.operand[at] = item.leaf
        group.keys[at] = item.origin

    def _check_counts(self, groups: list[_Gathered]) -> None:
        """Refuse a count that differs from the declared one, and a stack shorter than others."""
        for label, count in self.counts.items():
            name = self.counted[label]
            declared = self.lookup.find(name) if isinstance(self.lookup, Numbers) else None
            if count and isinstance(declared, int) and count != declared:
                raise LayoutError(
                    f"layout {self.name}: {name} is {declared}, and the keys have {{{label}}} up "
                    f"to {count - 1}; add what is missing, or correct {name}"
                )
        alike: dict[Any, list[tuple[int, str, _Gathered]]] = {}
        for group in groups:
            for label in group.rule.stacked:
                # One number counts a label wherever it is; else only one rule's stacks are alike.
                kind = label if label in self.counted else (label, id(group.rule))
                alike.setdefault(kind, []).append((group.length(label), label, group))
        for stacks in alike.values():
            self._check_alike(stacks)

    def _check_alike(self, stacks: list[tuple[int, str, _Gathered]]) -> None:
        longest = max(length for length, _, _ in stacks)
        for length, label, group in stacks:
            if length < longest:
                indices = {**dict.fromkeys(group.rule.stacked, 0), label: length}
                key = group.rule.inputs[0].key({**group.captured, **indices})
                raise LayoutError(
                    f"layout {self.name}: {key} is missing, and others have {{{label}}} up to "
                    f"{longest - 1}; add it"
                )

    def _make(self, group: _Gathered) -> list[Item]:
        rule = group.rule
        try:
            _check_complete(group)
            result = self._applied(group)
        except LayoutError as error:
            if self.lenient:
                return []
            raise LayoutError(f"layout {self.name}, {group.origin}: {error}") from None
        made = []
        for at, leaf in result.items():
            indices = dict(at)
            output = rule.outputs[indices.pop(POSITION, 0)]
            key = output.key({**group.captured, **indices})
            made.append(Item(key, leaf, group.origin, plain=rule.row.renames_only))
        return made

    def _applied(self, group: _Gathered) -> Operand:
        """Apply the rule's operation; tied leaves stay one leaf if the same operation takes them.

        Leaves are tied if they are one object.
        """
        rule, operand = group.rule, group.operand
        if id(rule) not in self._bound:
            self._bound[id(rule)] = rule.operation.bind(self.lookup)
        operation = self._bound[id(rule)]
        if not any(id(leaf) in self._shared for leaf in operand.values()):
            return operation.apply(operand)
        place = operation, tuple((at, id(leaf)) for at, leaf in sorted(operand.items()))
        if place not in self._made:
            self._made[place] = operation.apply(operand)
        return self._made[place]


def _check_complete(group: _Gathered) -> None:
    if not group.rule.grouped:
        return
    many = len(group.rule.inputs) > 1
    seen = set()
    for at in group.keys:
        indices = dict(at)
        seen.add((indices.pop(POSITION) if many else 0, *indices.values()))
    if missing := missing_inputs(group.rule, group.captured, seen):
        raise LayoutError(f"{missing} belongs with it and is missing; add it, or remove both")


def _coordinates(rule: Rule, position: int, stacked: Mapping[str, str]) -> Coordinates:
    indices = [(label, int(index)) for label, index in sorted(stacked.items())]
    return ((POSITION, position), *indices) if len(rule.inputs) > 1 else tuple(indices)

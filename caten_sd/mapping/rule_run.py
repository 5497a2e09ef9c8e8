"""Apply the rules of one side of a layout to the keys of a state dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.absent_keys import first_absent
from caten_sd.mapping.axis_sizes import Lookup, Numbers, solve
from caten_sd.mapping.companions import refuse_own_axes
from caten_sd.mapping.conditions import or_one
from caten_sd.mapping.constants import check_left_out
from caten_sd.mapping.gathered import Gathered, Item, check_complete, check_lengths, coordinates
from caten_sd.mapping.operations import POSITION, Coordinates, Operand, Operation
from caten_sd.mapping.patterns import Pattern, pattern
from caten_sd.mapping.rows import Drop, Lacks
from caten_sd.mapping.rules import Rule, Side, Taker
from caten_sd.mapping.seen_indices import SeenIndices
from caten_sd.mapping.templates import Finder, KeyMatch
from caten_sd.state.leaf import spec_or_none


class RuleRun(NamedTuple):
    """What the rules made of the items: these under new names, and what happened to the others.

    ``dropped`` gives the reason for each dropped key. ``untaken`` are the keys that no rule took.
    ``fired`` holds the ids of the rules that took a key. ``counts`` says for each captured index
    how many of it there are, by the largest that a key has. ``gap`` says which key is missing.
    """

    items: list[Item]
    dropped: dict[str, str]
    untaken: list[str]
    fired: set[int]
    counts: dict[str, int]
    gap: str = ""

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


class _Prepared(NamedTuple):
    """What is done with each key of one template that matches a rule or a drop.

    ``place`` has what differs between groups: the place of a number in the key, or a text.
    ``stacked`` has a label and the place of its number. ``counted`` has the places of the numbers
    that are counted, which go into ``seen``.
    """

    match: KeyMatch[Taker]
    renamed: str  # the new key as a text to format with the numbers, where that is all
    place: tuple[int | str, ...]
    stacked: tuple[tuple[str, int], ...]
    counted: tuple[int, ...]
    seen: dict[tuple[str, ...], str]


class _RuleRunner:
    def __init__(
        self, name: str, side: Side, lookup: Lookup, counted: Mapping[str, str], lenient: bool
    ) -> None:
        self.name, self.side, self.lookup, self.lenient = name, side, lookup, lenient
        self.counted = counted
        self._seen = SeenIndices(counted)
        self.dropped: dict[str, str] = {}
        self.untaken: list[str] = []
        self.fired: set[int] = set()
        paths = lookup.paths if isinstance(lookup, Numbers) else None
        self._finder = Finder(side.matcher, or_one(lookup) if lenient else lookup, paths)
        self._known: dict[int, _Prepared] = {}
        self._groups: dict[Any, Gathered] = {}
        self._bound: dict[int, Operation] = {}
        self._made: dict[Any, Operand] = {}
        self._shared: set[int] = set()

    def run(self, items: list[Item]) -> RuleRun:
        """Return the items under their new names, in the order of the first key of each."""
        self._items = items
        uses = Counter(id(item.leaf) for item in items)
        self._shared = {leaf for leaf, count in uses.items() if count > 1}
        taken: list[Gathered | Item] = []
        for item in items:
            found = item if item.foreign else self._take(item)
            if found is not None:
                taken.append(found)
        if not self.lenient:
            self._check_counts([each for each in taken if isinstance(each, Gathered)])
        made: list[Item] = []
        for each in taken:
            made += [each] if isinstance(each, Item) else self._make(each)
        gap = first_absent(self._seen.names(), None if self.lenient else self.lookup)
        return RuleRun(made, self.dropped, self.untaken, self.fired, self._seen.counts(), gap)

    def _take(self, item: Item) -> Gathered | Item | None:
        """Return what replaces the item; None if it is dropped or joins leaves gathered before."""
        matches, numbers = self._finder.matches(item.key)
        if len(matches) == 1 and matches[0].is_plain:
            rule = matches[0].payload.rule
            if isinstance(rule, Rule):
                return self._take_plain(item, matches[0], rule, numbers)
        match, captured = self._decided(item, matches, numbers)
        if match is None:
            self.untaken.append(item.key)
            return item._replace(foreign=True)
        rule, position = match.payload
        if isinstance(rule, Drop):
            self.dropped[item.key] = rule.reason
            return None
        if isinstance(rule, Lacks):
            name = rule.constant.like if rule.constant else rule.tied
            like = self._leaves.get(pattern(name).key(captured)) if name else None
            where = f"layout {self.name}, {item.origin}"
            check_left_out(rule, item.leaf, like, self.lookup, where)
            self.dropped[item.key] = f"not in {self.name}: {rule.reason}"
            return None
        self.fired.add(id(rule))
        if labels := self._seen.labels(captured):
            indices = tuple(captured[label] for label in labels)
            self._seen.of(rule, position, labels, captured)[indices] = item.origin
        if rule.simple:
            return Item(self._key(rule.outputs[0], captured, item.origin), item.leaf, item.origin)
        at = coordinates(rule, position, sorted((label, captured[label]) for label in rule.stacked))
        place = (id(rule), *[captured[name] for name in sorted(captured.keys() - rule.stacked)])
        if self._joins(item, rule, place, at):
            return None
        return self._gathered(item, rule, captured, place, at)

    @cached_property
    def _leaves(self) -> dict[str, Any]:
        return {item.key: item.leaf for item in self._items if not item.foreign}

    def _take_plain(
        self, item: Item, match: KeyMatch[Taker], rule: Rule, numbers: list[str]
    ) -> Gathered | Item | None:
        """Do as ``_take`` by what was found once for all keys of the template."""
        prepared = self._known.get(id(match)) or self._prepared(item, match, rule)
        if prepared.counted:
            prepared.seen[tuple([numbers[at] for at in prepared.counted])] = item.origin
        if prepared.renamed:
            return Item(prepared.renamed.format(*numbers), item.leaf, item.origin)
        stacked = [(label, numbers[at]) for label, at in prepared.stacked]
        place = (id(rule), *[at if isinstance(at, str) else numbers[at] for at in prepared.place])
        at = coordinates(rule, match.payload.position, stacked)
        if self._joins(item, rule, place, at):
            return None
        captured = self._finder.captured(match, numbers) or {}
        return self._gathered(item, rule, captured, place, at)

    def _prepared(self, item: Item, match: KeyMatch[Taker], rule: Rule) -> _Prepared:
        self.fired.add(id(rule))
        at = {terms.text: place for terms, place in match.terms}
        texts = {name: text for name, text, _ in match.texts}
        kept = sorted((at.keys() | texts.keys()) - rule.stacked)
        renamed = ""
        if rule.simple and rule.outputs[0].is_plain:
            fields = {name: f"{{{place}}}" for name, place in at.items()}
            literal = {
                name: text.replace("{", "{{").replace("}", "}}") for name, text in texts.items()
            }
            renamed = self._key(rule.outputs[0], {**literal, **fields}, item.origin)
        labels = self._seen.labels(at)
        prepared = _Prepared(
            match,
            renamed,
            tuple(texts[name] if name in texts else at[name] for name in kept),
            tuple((label, at[label]) for label in sorted(rule.stacked)),
            tuple(at[label] for label in labels),
            self._seen.of(rule, match.payload.position, labels, texts),
        )
        self._known[id(match)] = prepared
        return prepared

    def _joins(self, item: Item, rule: Rule, place: Any, at: Coordinates) -> bool:
        """Return whether the item joins leaves that were gathered before."""
        group = self._groups.get(place) if rule.grouped else None
        if group is None:
            return False
        self._put(group, item, at)
        return True

    def _gathered(
        self, item: Item, rule: Rule, captured: Mapping[str, str], place: Any, at: Coordinates
    ) -> Gathered:
        kept = {name: text for name, text in captured.items() if name not in rule.stacked}
        group = self._groups[place] = Gathered(rule, kept, item.origin)
        self._put(group, item, at)
        return group

    def _decided(
        self, item: Item, matches: Sequence[KeyMatch[Taker]], numbers: Sequence[str]
    ) -> tuple[KeyMatch[Taker] | None, dict[str, str]]:
        """Return the match whose conditions, arithmetic and shape hold, and what it captures."""
        found = []
        for match in matches:
            if match.joined and self._finder.paths is None and not self.lenient:
                raise LayoutError(
                    f"layout {self.name}, {item.key}: only the keys of the model say which '_' is "
                    f"between two names; pass them as against=, or the model as --against"
                )
            captured = self._finder.captured(match, numbers)
            if captured is not None:
                found.append((match, captured))
        for match, captured in found:
            rule = match.payload.rule
            if isinstance(rule, Drop) and rule.shape is not None:
                known = spec_or_none(item.leaf)
                if known is not None and solve(rule.shape, known.shape, {}):
                    return match, captured
        ours = [each for each in found if getattr(each[0].payload.rule, "shape", None) is None]
        rules = {id(match.payload.rule): match.payload.rule for match, _ in ours}
        if len(rules) > 1 and not self.lenient:
            one, other, *_ = rules.values()
            raise LayoutError(
                f"layout {self.name}: two rows take {item.key}: ({one}) and ({other}); "
                f"make their conditions exclude each other"
            )
        return ours[0] if ours else (None, {})

    def _key(self, output: Pattern, captured: Mapping[str, Any], origin: str) -> str:
        try:
            return output.key(captured, self._finder.lookup)
        except LayoutError as error:
            raise LayoutError(f"layout {self.name}, {origin}: {error}") from None

    def _put(self, group: Gathered, item: Item, at: Coordinates) -> None:
        if at in group.keys:
            raise LayoutError(
                f"layout {self.name}: {group.keys[at]} and {item.origin} are both "
                f"{item.key}; remove one of them"
            )
        group.operand[at] = item.leaf
        group.keys[at] = item.origin

    def _check_counts(self, groups: list[Gathered]) -> None:
        """Refuse a count that differs from the declared one, and a stack shorter than others."""
        try:
            check_lengths(self._seen.counts(), self.counted, groups, self.lookup)
        except LayoutError as error:
            raise LayoutError(f"layout {self.name}: {error}") from None

    def _make(self, group: Gathered) -> list[Item]:
        rule, operation = group.rule, None
        try:
            check_complete(group, self._finder.lookup)
            operation = self._operation(rule)
            result = self._applied(group, operation)
        except LayoutError as error:
            if self.lenient:
                return []
            where = f"row ({rule.row}), {group.names()}" if operation else group.origin
            raise LayoutError(f"layout {self.name}, {where}: {error}") from None
        made = []
        for at, leaf in result.items():
            indices = dict(at)
            output = rule.outputs[indices.pop(POSITION, 0)]
            key = self._key(output, {**group.captured, **indices}, group.origin)
            made.append(Item(key, leaf, group.origin, plain=rule.row.renames_only))
        return made

    def _operation(self, rule: Rule) -> Operation:
        """Return the rule's operation with its numbers, which are looked up once."""
        if id(rule) not in self._bound:
            self._bound[id(rule)] = rule.operation.bind(self.lookup)
        return self._bound[id(rule)]

    def _applied(self, group: Gathered, operation: Operation) -> Operand:
        """Apply the rule's operation; tied leaves stay one leaf if the same operation takes them.

        Leaves are tied if they are one object.
        """
        operand = group.operand
        refuse_own_axes(operand.values())
        if not any(id(leaf) in self._shared for leaf in operand.values()):
            return operation.apply(operand)
        place = operation, tuple((at, id(leaf)) for at, leaf in sorted(operand.items()))
        if place not in self._made:
            self._made[place] = operation.apply(operand)
        return self._made[place]

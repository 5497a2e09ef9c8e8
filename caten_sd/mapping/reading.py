"""Rename from a layout to the canonical names, and check shapes against the declared ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.mapping.axis_sizes import Lookup, Numbers, Size, names_in, solve, value
from caten_sd.mapping.companions import accompanied
from caten_sd.mapping.conditions import or_one
from caten_sd.mapping.constants import made, value_of
from caten_sd.mapping.contradictions import Unsolved, wrong_flags, wrong_numbers
from caten_sd.mapping.findings import Findings, Misfit
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.patterns import pattern
from caten_sd.mapping.rows import Lacks
from caten_sd.mapping.rule_run import RuleRun, run_rules
from caten_sd.mapping.rules import Rule, Side, Taker, lacking
from caten_sd.mapping.templates import Finder, Matcher
from caten_sd.state.accompanied import Accompanied
from caten_sd.state.leaf import Spec, spec_or_none
from caten_sd.state.same_place import same_place
from caten_sd.state.state_dict import StateDict


class Reading(NamedTuple):
    """A state dict under its canonical names, the findings, and the numbers that it gives."""

    items: list[Item]
    findings: Findings
    numbers: dict[str, int]


def items_of(state: StateDict, leaves: Mapping[str, Any] | None = None) -> list[Item]:
    """Return the leaves, or others in their place, as items; tied names get one leaf."""
    ties, entry = state.ties, state.entry if leaves is None else leaves
    return [Item(key, entry.get(ties.get(key, key), leaf), key) for key, leaf in entry.items()]


def read_canonical(
    layout: Layout,
    items: Iterable[Item],
    lookup: Lookup,
    *,
    lenient: bool = False,
    target: Layout | None = None,
) -> Reading:
    """Return the items under their canonical names; none of their data is read.

    What the layout does not store is made unless the target does not store it either.
    """
    counts = layout.counts
    finder = Finder(layout.reading.matcher)
    items, members = accompanied(list(items), lambda key: bool(finder.matches(key)[0]))
    run = run_rules(layout.name, layout.reading, items, lookup, counted=counts, lenient=lenient)
    untaken = [key for name in run.untaken for key in members.get(name, [name])]
    findings = Findings(dropped=run.dropped, untaken=untaken, gap=run.gap)
    result = _with_ties(layout.reading, run, lookup, findings)
    result += [] if lenient else _made_items(layout, result, findings, lookup, target)
    numbers, findings.misfits, unsolved = check_shapes(layout.canonical.reading, result, lookup)
    if isinstance(lookup, Numbers) and not lenient:
        wrong = *wrong_numbers(numbers, unsolved, lookup), *wrong_flags(layout, run.fired, lookup)
        findings.contradicted = list(wrong)
    counted = {counts[label]: count for label, count in run.counts.items()}
    return Reading(result, findings, {**counted, **numbers})


def _with_ties(side: Side, run: RuleRun, lookup: Lookup, findings: Findings) -> list[Item]:
    """Return the items with one leaf for tied tensors, and with those that are left out as tied.

    These, and the rows that found no key, are added to the findings.
    """
    result, idle = run.items, run.idle(side)
    for rule in [rule for rule in side.rules if rule.row.tied]:
        if id(rule) in run.fired:
            result = _with_one_leaf(rule, result)
        elif not _says_untied(rule, lookup) and _may_be_tied(rule, result):
            tied = _tied_items(rule, result)
            result += tied
            findings.tied.update({item.key: rule.row.tied for item in tied})
            idle = [other for other in idle if other is not rule]
    findings.idle = [rule.row for rule in idle]
    return result


def _tied_items(rule: Rule, items: Sequence[Item]) -> list[Item]:
    """Return the canonical tensor that the layout leaves out because it is tied to another."""
    firsts = [item for item in items if item.key == rule.row.tied and not item.foreign]
    return [first._replace(key=rule.outputs[0].text) for first in firsts]


def _with_one_leaf(rule: Rule, items: list[Item]) -> list[Item]:
    """Return the items with one leaf under both tied names, if both have the same memory."""
    firsts = {item.key: item.leaf for item in items if item.key == rule.row.tied}
    leaf = firsts.get(rule.row.tied)
    return [
        item._replace(leaf=leaf)
        if item.key == rule.outputs[0].text and same_place(item.leaf, leaf)
        else item
        for item in items
    ]


def _may_be_tied(rule: Rule, items: Sequence[Item]) -> bool:
    """Return whether a tensor that is not there is tied, and not one that the model lacks."""
    if not rule.row.optional:
        return True
    return any(item.key == rule.row.given and not item.foreign for item in items)


def _made_items(
    layout: Layout,
    items: Sequence[Item],
    findings: Findings,
    lookup: Lookup,
    target: Layout | None,
) -> list[Item]:
    """Return the constant tensors that the layout does not store."""
    made_items = []
    unneeded = [(row.canonical, row.constant) for row in _lacking(target)] if target else []
    for row in _lacking(layout):
        if row.constant is None or (row.canonical, row.constant) in unneeded:
            continue
        finder = Finder(Matcher([(pattern(row.constant.like, ".", row.where), None)]))
        for item in items:
            for _, captured in [] if item.foreign else finder.find(item.key):
                key = lacking(row).key(captured)
                value = value_of(row.constant, item.leaf, lookup)
                made_items.append(Item(key, made(row.constant, item.leaf, value), item.origin))
                findings.made[key] = f"{value:g} throughout: {row.reason}"
    return made_items


def _lacking(layout: Layout) -> list[Lacks]:
    return [row for row in layout.rows if isinstance(row, Lacks)]


def _says_untied(rule: Rule, lookup: Lookup) -> bool:
    if rule.row.untied is None or not isinstance(lookup, Numbers):
        return False
    entry, value = rule.row.untied
    return lookup.entry(entry) is value


def check_shapes(
    names: Side, items: Iterable[Item], lookup: Lookup
) -> tuple[dict[str, int], list[Misfit], list[Unsolved]]:
    """Return the named sizes that the shapes give, and the tensors that contradict them.

    Last come the shapes that left a name open. Tensors that were only renamed come first, since a
    mistaken transpose cannot be in them.
    """
    known: dict[str, int] = {}
    misfits = []
    unsolved: dict[Any, Unsolved] = {}
    finder, agreed = Finder(names.matcher, or_one(lookup)), set()
    for item in sorted(items, key=lambda item: not item.plain):
        sizes = None if item.foreign else _sizes(finder, item.key)
        spec = _shaped(item.leaf) if sizes is not None else None
        if sizes is None or spec is None or (sizes, spec.shape) in agreed:
            continue
        if solve(sizes, spec.shape, known):
            if known.keys() >= names_in(sizes):
                agreed.add((sizes, spec.shape))  # no further number can contradict it
            else:
                at = sizes, spec.shape
                unsolved.setdefault(at, Unsolved(item.origin, item.key, spec.shape, sizes))
            continue
        swapped = len(sizes) > 1 and solve(sizes, spec.shape[::-1], dict(known))
        misfits.append(
            Misfit(item.origin, item.key, spec.shape, sizes, swapped, _in_numbers(sizes, known))
        )
    return known, misfits, list(unsolved.values())


def _in_numbers(sizes: Sequence[Size], known: Mapping[str, int]) -> tuple[int, ...]:
    """Return the sizes as numbers, or nothing if one of their names is not known."""
    if not known.keys() >= names_in(sizes) or all(isinstance(size, int) for size in sizes):
        return ()
    return tuple(value(size, known.__getitem__) for size in sizes)


def _shaped(leaf: Any) -> Spec | None:
    """Return the spec of a leaf whose shape is that of its elements, which integers may hide."""
    packed = isinstance(leaf, Accompanied) and leaf.dtype.kind != "float"
    return None if packed else spec_or_none(leaf)


def declared(names: Side, items: Iterable[Item]) -> Iterator[tuple[Item, tuple[Size, ...]]]:
    """Yield the items for which the canonical layout declares sizes, with these."""
    finder = Finder(names.matcher, or_one(Numbers({})))
    for item in items:
        sizes = None if item.foreign else _sizes(finder, item.key)
        if sizes is not None:
            yield item, sizes


def _sizes(finder: Finder[Taker], key: str) -> tuple[Size, ...] | None:
    matches, numbers = finder.matches(key)
    for match in matches:
        rule = match.payload.rule
        taken = match.is_plain or finder.captured(match, numbers) is not None
        if taken and isinstance(rule, Rule):
            return rule.row.shape
    return None

"""Weigh how well a layout matches: first by names alone, then by shapes.

Names are looked for once for each kind of key, in all layouts together, so that a hundred of them
take little. Shapes are looked at on samples: a key of each kind and shape, and for a row that
stacks all that it stacks once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers, size_text, solve
from caten_sd.mapping.conditions import or_one
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.key_kinds import AlikeKeys, Arranged, KeyKinds, Places
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.patterns import Pattern
from caten_sd.mapping.reading import Reading, declared, read_canonical
from caten_sd.mapping.rules import Rule, Taker
from caten_sd.mapping.templates import Fixed, KeyMatch, Matcher
from caten_sd.state.leaf import spec, spec_or_none
from caten_sd.wording import counted

Match = tuple[Fixed, KeyMatch[Taker]]


class Candidate(NamedTuple):
    """How well a layout matches: how many keys it takes, and its findings.

    ``numbers`` are those that the shapes give. ``orientation`` names one tensor whose shape is
    possible in this layout and would not be if it were transposed. ``veto`` is what excludes the
    layout: what the file says of itself, or why the layout cannot be applied.
    """

    layout: Layout
    taken: int
    total: int
    findings: Findings
    numbers: Mapping[str, int]
    orientation: str = ""
    veto: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it takes every key, each row finds a key, and nothing contradicts it."""
        return self.is_similar and self.taken == self.total and not self.findings.idle

    @property
    def is_similar(self) -> bool:
        """Whether it takes half of the keys, half of its rows find one, nothing contradicts it."""
        rows, idle = len(self.layout.reading.rules), len(self.findings.idle)
        contradicted = self.veto or self.findings.misfits
        return not contradicted and self.taken * 2 >= self.total > 0 and idle * 2 <= rows

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """What is larger for the better of two candidates."""
        return self.is_complete, self.is_similar, self.taken, -len(self.findings.idle)

    def __str__(self) -> str:
        text = f"{self.layout.name} takes {self.taken:,} of {counted(self.total, 'key')}"
        if self.veto:
            return f"{text}, but {self.veto}"
        if self.findings.misfits:
            return f"{text}, but {self.findings.misfits[0]}"
        idle = len(self.findings.idle)
        return f"{text}, and {idle} of its rows find no key" if idle else text


class AllNames:
    """The names of many layouts, arranged so that a kind of key is looked for once in all."""

    @classmethod
    @functools.lru_cache(maxsize=2)
    def of(cls, layouts: tuple[Layout, ...]) -> AllNames:
        """Return the names of layouts; those asked for last are kept: arranging takes longest."""
        return cls(layouts)

    def __init__(self, layouts: Sequence[Layout]) -> None:
        entries: dict[str, list[tuple[Pattern, tuple[int, Taker]]]] = {}
        for number, layout in enumerate(layouts):
            named = entries.setdefault(layout.separator, [])
            named += [(name, (number, taker)) for name, taker in layout.reading.patterns]
        self._matchers = [Matcher(named, separator) for separator, named in entries.items()]

    def found(self, templates: Iterable[str]) -> dict[int, dict[str, list[Match]]]:
        """Return what matches each template, for the positions of the layouts that match any."""
        found: dict[int, dict[str, list[Match]]] = {}
        for template in templates:
            for matcher in self._matchers:
                for fixed, match in matcher.matches(template):
                    number, taker = match.payload
                    kept: KeyMatch[Taker] = KeyMatch(match.pattern, taker, *match[2:])
                    found.setdefault(number, {}).setdefault(template, []).append((fixed, kept))
        return found


def by_names(
    layout: Layout, keys: Arranged, kinds: KeyKinds, named: Mapping[str, list[Match]], veto: str
) -> Candidate:
    """Return the candidate as its names match; what names a key at all counts as taking it."""
    taken = 0
    fired: set[int] = set()
    for template, matches in named.items():
        for alike, takers in _taken(matches, kinds, template):
            taken += kinds.count(alike.positions)
            fired.update(id(match.payload.rule) for _, match in takers)
    idle = [
        rule.row
        for rule in layout.reading.rules
        if id(rule) not in fired and not (rule.row.optional or rule.row.tied)
    ]
    return Candidate(layout, taken, len(keys.alone.items), Findings(idle=idle), {}, "", veto)


def by_samples(candidate: Candidate, keys: Arranged) -> Candidate:
    """Return the candidate with what the shapes of samples contradict."""
    kinds = keys.seen_by(candidate.layout.reading.matcher)
    chosen = sorted(set(_samples(candidate.layout, kinds)))
    weighed = by_items(candidate, [kinds.items[at] for at in chosen], keys.alone.items)
    findings = Findings(idle=candidate.findings.idle, misfits=weighed.findings.misfits)
    return weighed._replace(findings=findings, taken=candidate.taken)


def by_items(candidate: Candidate, items: Sequence[Item], every: Sequence[Item] = ()) -> Candidate:
    """Return the candidate as it is with these items; a layout that fails is excluded.

    The orientation is looked for if all items are given as well.
    """
    layout = candidate.layout
    try:
        reading = read_canonical(layout, items, Numbers({}), lenient=True)
        orientation = _orientation(layout, every, reading) if every else candidate.orientation
    except LayoutError as error:
        return candidate._replace(veto=candidate.veto or str(error))
    except Exception as error:  # an operation of somebody's own
        why = f"it fails ({type(error).__name__}: {error})"
        return candidate._replace(veto=candidate.veto or why)
    if reading.findings.gap and not every:  # samples have gaps
        return candidate._replace(veto=candidate.veto or reading.findings.gap)
    taken = len(items) - len(reading.findings.untaken)
    return candidate._replace(
        taken=taken, findings=reading.findings, numbers=reading.numbers, orientation=orientation
    )


def _taken(
    matches: Sequence[Match], kinds: KeyKinds, template: str
) -> Iterator[tuple[AlikeKeys, Sequence[Match]]]:
    """Yield the keys of a template that some of these take, with what takes them."""
    places = _places(matches)
    lookup = or_one(Numbers({}))
    for at, alike in kinds.alike(template, places).items():
        numbers = dict(zip(places, at, strict=True))
        takers = [
            (fixed, match)
            for fixed, match in matches
            if all(numbers[place] == number for place, number in fixed.items())
            and (match.is_plain or match.captured(alike.numbers, lookup) is not None)
        ]
        if takers:
            yield alike, takers


def _places(matches: Iterable[Match]) -> Places:
    """Return the places of the numbers that decide which matches hold."""
    found: set[int] = set()
    for fixed, match in matches:
        compared = {each.name for each in match.pattern.where}
        found |= fixed.keys()
        found |= {at for terms, at in match.terms if not terms.is_plain or terms.text in compared}
    return tuple(sorted(found))


def _samples(layout: Layout, kinds: KeyKinds) -> Iterator[int]:
    """Yield the positions of enough items to see all shapes: whole stacks, and one of all else."""
    for template in kinds.templates:
        firsts = list(kinds.shapes(template).values())
        yield from firsts
        matches = list(layout.reading.matcher.matches(template))
        for alike, takers in _taken(matches, kinds, template) if matches else ():
            yield alike.positions[0]
            for _, match in takers:
                rule = match.payload.rule
                if isinstance(rule, Rule) and rule.stacked:
                    yield from _stacks(kinds, template, match, rule, firsts)


def _stacks(
    kinds: KeyKinds, template: str, match: KeyMatch[Taker], rule: Rule, firsts: Iterable[int]
) -> Iterator[int]:
    """Yield all items that are stacked with one of these."""
    stacked = {at for terms, at in match.terms if terms.is_plain and terms.text in rule.stacked}
    if len(stacked) < len(rule.stacked):
        yield from kinds.templates[template]
        return
    for first in firsts:
        numbers = kinds.numbers(first)
        places = tuple(place for place in range(len(numbers)) if place not in stacked)
        yield from kinds.alike(template, places)[tuple(numbers[at] for at in places)].positions


def _orientation(layout: Layout, items: Sequence[Item], reading: Reading) -> str:
    """Return a text about one tensor whose shape proves its orientation, or ""."""
    seen: set[Any] = set()
    ordered = sorted(reading.items, key=lambda item: item.plain)
    for item, sizes in declared(layout.canonical.reading, ordered):
        known = spec_or_none(item.leaf) if len(sizes) == 2 else None
        if known is None or (item.plain, sizes, known.shape) in seen:
            continue
        seen.add((item.plain, sizes, known.shape))
        # Only sizes that share a name, as (3*n, n) does, exclude the transposed shape.
        if solve(sizes, known.shape, {}) and not solve(sizes, known.shape[::-1], {}):
            given = next((each.leaf for each in items if each.key == item.origin), item.leaf)
            turned = "" if item.plain else " transposed"
            return f"{item.origin} is {spec(given).shape}, {size_text(sizes)}{turned}"
    return ""

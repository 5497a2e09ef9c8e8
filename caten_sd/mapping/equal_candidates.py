"""Layouts that match a state dict equally well: which of them differ, and what else is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caten_sd.mapping.axis_lengths import Pad, Trim
from caten_sd.mapping.known import is_same
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row
from caten_sd.mapping.self_description import conditions_met
from caten_sd.mapping.weighing import Candidate
from caten_sd.state.state_dict import StateDict


def others_than(best: Candidate, weighed: Iterable[Candidate]) -> list[Candidate]:
    """Return the other candidates, first those that something excludes."""
    return sorted([each for each in weighed if each is not best], key=lambda each: not each.veto)


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, of those that do the same to a file only the canonical one.

    Canonical names that were made of a layout's rows are not another layout.
    """
    bases = [_first(each.layout) for each in candidates]
    made = {id(base.canonical) for base in bases if not base.is_canonical}
    declared = [each for each in candidates if id(each.layout) not in made]
    found: list[Candidate] = []
    for each in sorted(declared, key=lambda candidate: candidate.layout.base is not None):
        alike = [other for other in found if _does_the_same(each.layout, other.layout)]
        found += [] if alike else [each]
    return found


def likeliest(candidates: Sequence[Candidate], state: StateDict) -> Sequence[Candidate]:
    """Return those that the file itself speaks for, or else those that have no padding.

    No file shows padding. If each candidate has some, all are returned.
    """
    met = [conditions_met(each.layout, state) for each in candidates]
    candidates = (
        [each for each, is_met in zip(candidates, met, strict=True) if is_met]
        or [each for each in candidates if not each.layout.only_if]
        or candidates
    )
    return [each for each in candidates if not _has_padding(each.layout)] or candidates


def _has_padding(layout: Layout) -> bool:
    operations = [row.operation for row in layout.rows if isinstance(row, Row)]
    return any(isinstance(each, (Pad, Trim)) for each in operations)


def _first(layout: Layout) -> Layout:
    """Return the layout whose rows have the canonical names."""
    return _first(layout.base) if layout.base else layout


def _does_the_same(one: Layout, other: Layout) -> bool:
    return one.canonical is other.canonical and is_same(one, other)

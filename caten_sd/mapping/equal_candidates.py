"""Layouts that match a state dict equally well: which of them differ, and what else is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from caten_sd.mapping.axis_lengths import Pad, Trim
from caten_sd.mapping.axis_sizes import Numbers
from caten_sd.mapping.gathered import Item
from caten_sd.mapping.known import is_same
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.reading import read_canonical
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

    No file shows padding. If each candidate has some, all are returned. Names that only the keys of
    a model could tell apart are less likely than names that are known.
    """
    met = [conditions_met(each.layout, state) for each in candidates]
    candidates = (
        [each for each, is_met in zip(candidates, met, strict=True) if is_met]
        or [each for each in candidates if not each.layout.only_if]
        or candidates
    )
    candidates = [each for each in candidates if not _has_padding(each.layout)] or candidates
    return [each for each in candidates if not _needs_a_model(each.layout)] or candidates


def _has_padding(layout: Layout) -> bool:
    operations = [row.operation for row in layout.rows if isinstance(row, Row)]
    return any(isinstance(each, (Pad, Trim)) for each in operations)


def of_one_meaning(candidates: Sequence[Candidate], items: Sequence[Item]) -> Sequence[Candidate]:
    """Return the first one if all give these items the same canonical names and leaves."""
    bases = {id(each.layout.canonical) for each in candidates}
    if len(candidates) < 2 or len(bases) > 1 or not all(each.is_complete for each in candidates):
        return candidates
    meanings = (_meaning(each.layout, items) for each in candidates)
    first = next(meanings)
    same = first is not None and all(each == first for each in meanings)
    return candidates[:1] if same else candidates


def _meaning(layout: Layout, items: Sequence[Item]) -> dict[str, int] | None:
    """Return the identity of the leaf of each canonical name; None if the layout fails."""
    try:
        reading = read_canonical(layout, items, Numbers({}), lenient=True)
    except Exception:  # which is said where the layout is applied
        return None
    return {item.key: id(item.leaf) for item in reading.items if not item.foreign}


def _needs_a_model(layout: Layout) -> bool:
    """Return whether the keys of a model are needed to read names of the layout."""
    names = (name for name, _ in layout.reading.patterns)
    return any(piece.kind == "joined" for name in names for piece in name.pieces)


def _first(layout: Layout) -> Layout:
    """Return the layout whose rows have the canonical names."""
    return _first(layout.base) if layout.base else layout


def _does_the_same(one: Layout, other: Layout) -> bool:
    return one.canonical is other.canonical and is_same(one, other)

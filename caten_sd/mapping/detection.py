"""Detect which layout a state dict is in, from what its file says, its keys and its shapes.

Names alone do not identify an architecture, so what the file says of itself is a veto, and a layout
is detected only if each key is one of its names and each row that is required finds a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors import LayoutError
from caten_sd.mapping.equal_candidates import distinct, likeliest, of_one_meaning, others_than
from caten_sd.mapping.key_kinds import Arranged, arranged, common_prefixes
from caten_sd.mapping.known import (
    announced_layouts,
    built_in_layouts,
    find_layout,
    layout_called,
    layouts_of,
    names_text,
)
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.reading import items_of
from caten_sd.mapping.self_description import names_said, said, veto
from caten_sd.mapping.weighing import AllNames, Candidate, by_items, by_names, by_samples
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.options import checked_options
from caten_sd.state.quoting import root_choice
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import STAMP, StateDict, as_state_dict
from caten_sd.state.training_keys import model_state
from caten_sd.wording import counted, first_few


@attrs.frozen(repr=False)
class Detection(HasSheet):
    """The layout found, or None, with the evidence, and what was weighed, the best first.

    ``numbers`` are those that the shapes give: n_layer, n_embd, ... No shape gives a head count.

    Where no layout takes every key, ``similar`` is the one that takes most of them; it has to be
    asked for by name. ``equal`` are the layouts that match equally well, where several do.
    Where a layout is found only once a prefix of every key is taken off, ``layout`` is None,
    ``prefix`` is that prefix, ``root`` the tree of the file without it, ``unprefixed`` that layout.
    """

    layout: Layout | None
    evidence: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    numbers: Mapping[str, int]
    prefix: str = ""
    root: str = ""
    unprefixed: Layout | None = None
    similar: Layout | None = None
    equal: tuple[Layout, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether some layout takes every key; if several do equally well, none is chosen."""
        return any(each.is_complete for each in self.candidates)

    @property
    def architecture(self) -> str:
        """The architecture of the layout, or ""."""
        return self.layout.architecture if self.layout else ""

    def decided(self, target: Layout | None = None) -> Layout:
        """Return the layout; LayoutError that asks for it if none matches, or several do.

        Of several, that one is meant which alone can be converted to the target.
        """
        related = [each for each in self.equal if target and each.canonical is target.canonical]
        if len(related) == 1:
            return related[0]
        if self.layout is not None:
            return self.layout
        if self.unprefixed:
            raise LayoutError("; ".join(self.evidence))
        if self.similar:
            name = self.similar.name
            fix = f"if it is in {name}, say so, as from_layout={name!r} or --from {name}"
        else:
            equal = [each.layout.name for each in self.candidates if each.is_complete]
            known = names_text(equal or {**built_in_layouts(), **announced_layouts()})
            fix = (
                f"if it is in one of {known}, name that, as from_layout='NAME' or --from NAME; a "
                "Layout of your own is from_layout=LAYOUT, or --from mine.toml or mine.py:LAYOUT"
            )
        raise LayoutError(f"{'; '.join(self.evidence)}; {fix}")

    @property
    def verdict(self) -> str:
        """The layout and the numbers that the shapes give, or that none is known."""
        if self.layout is not None:
            numbers = [f"{name} {number}" for name, number in self.numbers.items()]
            return f"{self.layout.name} ({self.architecture}: {', '.join(numbers)})"
        some = counted(len(self.candidates), "layout takes", "layouts take")
        return f"not known, and {some} some of the keys" if self.candidates else "not known"

    def sheet(self) -> Sheet:
        """Return the sheet: the evidence, and how well each candidate matches."""
        weighed = [SheetRow(each.layout.name, str(each), quiet=True) for each in self.candidates]
        return Sheet(
            "layout detection",
            self.verdict,
            self.evidence,
            [SheetGroup("layouts that take some of the keys", weighed)],
            data={
                "layout": _name(self.layout),
                "architecture": self.architecture,
                "numbers": self.numbers,
                "prefix": self.prefix,
                "without_prefix": _name(self.unprefixed),
                "similar": _name(self.similar),
            },
        )


def _name(layout: Layout | None) -> str | None:
    return layout.name if layout else None


@checked_options()
def detect_layout(
    state_dict: Mapping[str, Any], *, layouts: str | Layout | Iterable[str | Layout] = ()
) -> Detection:
    """Return which layout the keys and shapes are in, with the evidence; no data is read.

    ``layouts`` are further ones, besides those of this package and of plug-ins: a Layout, or what
    names one, as mine.toml. If two layouts match equally well, none of them is chosen.
    """
    state = model_state(as_state_dict(state_dict))
    tensors = {key: leaf for key, leaf in state.items() if spec_or_none(leaf) is not None}
    state = state if len(tensors) == len(state) else state.with_entry(tensors)
    more = [layouts] if isinstance(layouts, (str, Layout)) else layouts
    given = {id(layout): layout for layout in map(find_layout, more)}.values()
    keys = arranged(items_of(state))
    names, stamp = names_said(state), state.metadata.get(STAMP)
    named = layouts_of(names) if names else layout_called(str(stamp))
    if named:  # where a file says what it is, it excludes all others, so they are not imported
        found = _detect(state, keys, _besides(given, announced_layouts() | named))
        is_stamped = found.layout is not None and found.layout.name == stamp
        if is_stamped or (names and (found.unprefixed or found.is_complete)):
            return found
    return _detect(state, keys, _besides(given, announced_layouts() | built_in_layouts()))


def _besides(given: Collection[Layout], known: Mapping[str, Layout]) -> list[Layout]:
    """Return the given layouts, and those known ones that have other names."""
    names = {layout.name for layout in given}
    return [*given, *(layout for name, layout in known.items() if name not in names)]


def _detect(state: StateDict, keys: Arranged, known: Sequence[Layout]) -> Detection:
    """Detect which of these layouts the keys are in, or are without a common prefix of theirs."""
    names = AllNames.of(tuple(known))
    found = _weigh(state, keys, list(_named(state, known, names, keys)))
    if found.is_complete:
        return found
    for prefix in common_prefixes(state):
        if _may_be_named(names, keys, prefix):
            rest = keys.without(prefix)
            weighed = list(_named(state, known, names, rest))
            if any(each.is_complete for each in weighed):
                inner = _weigh(state, rest, weighed)
                if inner.is_complete:
                    return _without_prefix(found, inner.layout, prefix, state.root)
    return found


def _weigh(state: StateDict, keys: Arranged, weighed: Sequence[Candidate]) -> Detection:
    """Return which of the candidates it is: the stamped one, or what the keys and shapes prove."""
    stamp = state.metadata.get(STAMP)
    stamped = [each for each in weighed if each.layout.name == stamp]
    found = _stamped(state, keys, stamped[0], weighed) if stamped else None
    return found or _decide(state, keys, weighed)


def _may_be_named(names: AllNames, keys: Arranged, prefix: str) -> bool:
    """Return whether some layout names all keys without the prefix; their numbers may differ."""
    for kinds in {id(each): each for each in (keys.joined, keys.alone)}.values():
        templates = dict(kinds.shortened(prefix))
        if any(len(named) == len(templates) for named in names.found(templates).values()):
            return True
    return False


def _named(
    state: StateDict, known: Sequence[Layout], names: AllNames, keys: Arranged
) -> Iterator[Candidate]:
    """Yield a candidate for each layout that takes some of the keys by their names."""
    joined = names.found(keys.joined.templates)
    alone = joined if keys.alone is keys.joined else names.found(keys.alone.templates)
    for number in sorted({*joined, *alone}):
        layout = known[number]
        kinds = keys.seen_by(layout.reading.matcher)
        named = (joined if kinds is keys.joined else alone).get(number, {})
        candidate = by_names(layout, keys, kinds, named, veto(layout, state))
        if candidate.taken:
            yield candidate


def _without_prefix(found: Detection, layout: Layout | None, prefix: str, root: str) -> Detection:
    """Return what was found, with the layout that the keys have without their common prefix."""
    if layout is None:
        return found
    bare = prefix[:-1]
    below = joined_key(root, bare)
    evidence = (
        f"without {prefix!r}, with which every key begins, it is {layout.name}: open it with "
        f"{root_choice(below)}"
    )
    every = (*found.evidence, evidence)
    return attrs.evolve(found, evidence=every, prefix=bare, root=below, unprefixed=layout)


def _stamped(
    state: StateDict, keys: Arranged, stamped: Candidate, weighed: Sequence[Candidate]
) -> Detection | None:
    """Return the layout that the file is stamped with, or None if the keys contradict that."""
    best = by_items(stamped, keys.alone.items)
    if best.veto or best.findings.misfits or best.taken < best.total:
        return None
    evidence = [f"{STAMP} in its metadata is {best.layout.name!r}", *_evidence(best, state)]
    candidates = [best, *(each for each in weighed if each is not stamped)]
    return Detection(best.layout, tuple(evidence), tuple(candidates), best.numbers)


def _decide(state: StateDict, keys: Arranged, named: Sequence[Candidate]) -> Detection:
    """Return what the candidates prove; the winner is weighed by every key."""
    weighed = sorted(named, key=_rank, reverse=True)
    while True:
        weighed = _weighed(weighed, keys)
        similar = [each for each in weighed if each.is_similar]
        equal = distinct([each for each in similar if each.rank == similar[0].rank])
        likely = of_one_meaning(likeliest(equal, state), keys.alone.items)
        if len(likely) != 1:
            return _undecided(state, equal, weighed)
        best = by_items(likely[0], keys.alone.items)
        weighed[weighed.index(likely[0])] = best
        if best.is_complete:
            others = [each for each in others_than(best, weighed) if each.taken * 2 >= each.total]
            evidence = (*_evidence(best, state), *map(str, others[:2]))
            layouts = tuple(each.layout for each in equal if len(equal) > 1)
            return Detection(best.layout, evidence, tuple(weighed), best.numbers, equal=layouts)
        if not likely[0].is_complete or best.rank == likely[0].rank:
            others = others_than(best, weighed)[:2]
            faults = filter(None, [best.findings.complaint])
            evidence = (str(best), *faults, *map(str, others))
            is_like = best.layout if best.is_similar else None
            return Detection(None, evidence, tuple(weighed), {}, similar=is_like)
        weighed.sort(key=_rank, reverse=True)


def _rank(candidate: Candidate) -> tuple[bool, bool, int, int]:
    return candidate.rank


def _weighed(candidates: Sequence[Candidate], keys: Arranged) -> list[Candidate]:
    """Return the candidates, the best of them weighed by shapes until none is contradicted."""
    found: list[Candidate] = []
    waiting = list(candidates)
    while waiting and waiting[0].is_similar:
        rank = waiting[0].rank
        alike = [by_samples(each, keys) for each in waiting if each.rank == rank]
        waiting = [each for each in waiting if each.rank != rank]
        found += alike
        if any(each.is_similar for each in alike):
            break
    return sorted([*found, *waiting], key=_rank, reverse=True)


def _undecided(
    state: StateDict, equal: Sequence[Candidate], weighed: Sequence[Candidate]
) -> Detection:
    if equal:
        names = [each.layout.name for each in equal]
        those = " and ".join(names) if len(names) < 4 else first_few(names, 6)
        evidence = [f"{those} match {counted(len(state), 'key')} and their shapes equally well"]
    else:
        evidence = ["no layout was recognized", *map(str, weighed[:3])]
    layouts = tuple(each.layout for each in equal)
    return Detection(None, tuple(evidence), tuple(weighed), {}, equal=layouts)


def _evidence(best: Candidate, state: StateDict) -> list[str]:
    names = "key is its name" if best.total == 1 else "keys are its names"
    names = f"{best.taken:,} of {best.total:,} {names}"
    places = [f"{where} is {name!r}" for where, name in said(state).items()]
    nothing = "the file does not say what it is, so this is known from names and shapes only"
    oriented = filter(None, [best.orientation])
    return [names, *oriented, *(places or [nothing]), *best.findings.notes()]

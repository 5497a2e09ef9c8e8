"""Detect which layout a state dict is in, from what its file says, its keys and its shapes.

Names alone do not identify an architecture, so what the file says of itself is a veto, and a layout
is detected only if each key is one of its names and each row that is required finds a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers, size_text, solve
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.known import announced_layouts, built_in_layouts
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.reading import Reading, declared, items_of, read_canonical
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.state.leaf import spec_or_none
from caten_sd.state.quoting import root_choice
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import StateDict, as_state_dict
from caten_sd.state.training_keys import model_state
from caten_sd.wording import counted

MAX_PREFIX = 8  # segments of a key


class Candidate(NamedTuple):
    """How well a layout matches: how many keys it takes, and its findings.

    ``numbers`` are those that the shapes give. ``orientation`` names one tensor whose shape is
    possible in this layout and would not be if it were transposed. ``veto`` is what the file says
    of itself where that excludes the layout.
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

    def __str__(self) -> str:
        text = f"{self.layout.name} takes {self.taken} of {counted(self.total, 'key')}"
        if self.veto:
            return f"{text}, but {self.veto}"
        if self.findings.misfits:
            return f"{text}, but {self.findings.misfits[0]}"
        idle = len(self.findings.idle)
        return f"{text}, and {idle} of its rows find no key" if idle else text


@attrs.frozen(repr=False)
class Detection(HasSheet):
    """The layout found, or None, with the evidence, and every candidate, the best first.

    ``numbers`` are those that the shapes give: n_layer, n_embd, ... No shape gives a head count.

    Where no layout takes every key, ``similar`` is the one that takes most of them; it has to be
    asked for by name. Where a layout is found only once a prefix of every key is taken off,
    ``layout`` is None, ``prefix`` is that prefix, and ``unprefixed`` is that layout.
    """

    layout: Layout | None
    evidence: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    numbers: Mapping[str, int]
    prefix: str = ""
    unprefixed: Layout | None = None
    similar: Layout | None = None

    @property
    def architecture(self) -> str:
        """The architecture of the layout, or ""."""
        return self.layout.architecture if self.layout else ""

    def decided(self) -> Layout:
        """Return the layout; LayoutError that asks for it if none matches, or several do."""
        if self.layout is not None:
            return self.layout
        if self.unprefixed:
            raise LayoutError("; ".join(self.evidence))
        if self.similar:
            name = self.similar.name
            fix = f"if it is in {name}, say so, as from_layout={name!r} or --from {name}"
        else:
            known = ", ".join(sorted({**built_in_layouts(), **announced_layouts()}))
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


def detect_layout(state_dict: Mapping[str, Any]) -> Detection:
    """Return which layout the keys and shapes are in, with the evidence; no data is read.

    If two layouts match equally well, none of them is chosen.
    """
    state = model_state(as_state_dict(state_dict))
    tensors = {key: leaf for key, leaf in state.items() if spec_or_none(leaf) is not None}
    return _detect(state if len(tensors) == len(state) else state.with_entry(tensors), 0)


def _detect(state: StateDict, removed: int) -> Detection:
    """Detect the layout of keys from which ``removed`` segments of a prefix were taken."""
    samples = _samples(state)
    known = [*built_in_layouts().values(), *announced_layouts().values()]
    weighed = sorted((_weigh(each, state, samples) for each in known), key=_rank, reverse=True)
    found = _decide(state, tuple(each for each in weighed if each.taken))
    if any(each.is_complete for each in weighed) or removed == MAX_PREFIX:
        return found
    return _without_prefix(state, found, removed)


def _without_prefix(state: StateDict, found: Detection, removed: int) -> Detection:
    """Return what was found, with the layout that the keys have without their common prefix."""
    first = next(iter(state), "").partition(".")[0] + "."
    if first[:-1].isdecimal() or not all(key.startswith(first) for key in state):
        return found
    rest = {key[len(first) :]: leaf for key, leaf in state.items()}
    ties = {key[len(first) :]: name[len(first) :] for key, name in state.ties.items()}
    inner = _detect(state.with_entry(rest, ties=ties), removed + 1)
    layout = inner.layout or inner.unprefixed
    if layout is None:
        return found
    prefix = first + inner.prefix if inner.prefix else first[:-1]
    evidence = (
        f"without {prefix + '.'!r}, with which every key begins, it is {layout.name}: open it with "
        f"{root_choice(prefix)}"
    )
    return attrs.evolve(
        found, evidence=(*found.evidence, evidence), prefix=prefix, unprefixed=layout
    )


def _rank(candidate: Candidate) -> tuple[bool, bool, int, int]:
    idle = len(candidate.findings.idle)
    return candidate.is_complete, candidate.is_similar, candidate.taken, -idle


def _decide(state: StateDict, candidates: tuple[Candidate, ...]) -> Detection:
    similar = [each for each in candidates if each.is_similar]
    equal = [each for each in similar if _rank(each) == _rank(similar[0])]
    if len(equal) == 1 and not equal[0].is_complete:
        best = _weigh(equal[0].layout, state, dict.fromkeys(state, 1))
        lines = [str(each) for each in candidates if each.layout is not best.layout]
        evidence = [str(best), *filter(None, [best.findings.complaint]), *lines[:2]]
        return Detection(None, tuple(evidence), candidates, {}, similar=best.layout)
    if len(equal) == 1:
        best = _weigh(equal[0].layout, state, dict.fromkeys(state, 1))
        others = [str(each) for each in candidates if each.layout is not best.layout]
        return Detection(best.layout, (*_evidence(best), *others), candidates, best.numbers)
    if equal:
        names = " and ".join(each.layout.name for each in equal)
        evidence = [f"{names} match {counted(len(state), 'key')} and their shapes equally well"]
    else:
        evidence = ["no layout was recognized", *map(str, candidates[:3])]
    return Detection(None, tuple(evidence), candidates, {})


def _evidence(best: Candidate) -> list[str]:
    names = "key is its name" if best.total == 1 else "keys are its names"
    names = f"{best.taken} of {best.total} {names}"
    return [names, *filter(None, [best.orientation]), *best.findings.notes()]


def _samples(state: StateDict) -> dict[str, int]:
    """Return one of the keys that share their shape and all but indices, with their count."""
    first: dict[Any, str] = {}
    counts: dict[str, int] = {}
    for key, leaf in state.items():
        known = spec_or_none(leaf)
        kind = INDEX_SEGMENT.sub("#", key), known and known.shape
        sample = first.setdefault(kind, key)
        counts[sample] = counts.get(sample, 0) + 1
    return counts


def veto(layout: Layout, state: StateDict) -> str:
    """Return what the file says of itself, where that is another architecture, or ""."""
    config = state.config if isinstance(state.config, Mapping) else {}
    said = {
        "its general.architecture": state.metadata.get("general.architecture"),
        "the model_type of its config.json": config.get("model_type"),
    }
    for where, name in said.items():
        if isinstance(name, str) and name and name not in layout.model_types:
            return f"{where} is {name!r}"
    return ""


def _weigh(layout: Layout, state: StateDict, samples: Mapping[str, int]) -> Candidate:
    """Weigh a layout by samples, or by every key if one of its rows needs all indices."""
    if any(rule.stacked for rule in layout.reading.rules):
        samples = dict.fromkeys(state, 1)
    items = [item for item in items_of(state) if item.key in samples]
    reading = read_canonical(layout, items, Numbers({}), lenient=True)
    findings = reading.findings
    taken = sum(samples.values()) - sum(samples[key] for key in findings.untaken)
    orientation = _orientation(layout, state, reading)
    why = veto(layout, state)
    return Candidate(layout, taken, len(state), findings, reading.numbers, orientation, why)


def _orientation(layout: Layout, state: StateDict, reading: Reading) -> str:
    """Return a text about one tensor whose shape proves its orientation, or ""."""
    for item in sorted(reading.items, key=lambda item: item.plain):
        sizes = declared(layout.canonical.reading, item)
        known, given = spec_or_none(item.leaf), spec_or_none(state.entry.get(item.origin))
        if not sizes or not known or not given or len(sizes) != 2:
            continue
        # Only sizes that share a name, as (3*n, n) does, exclude the transposed shape.
        if solve(sizes, known.shape, {}) and not solve(sizes, known.shape[::-1], {}):
            turned = "" if item.plain else " transposed"
            return f"{item.origin} is {given.shape}, {size_text(sizes)}{turned}"
    return ""

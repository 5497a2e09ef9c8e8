"""Which layout a state dict is in, told by its keys and held against its shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Numbers, size_text, solve
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.known import announced_layouts, built_in_layouts
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.patterns import is_index
from caten_sd.mapping.reading import Reading, declared, items_of, read_canonical
from caten_sd.mapping.rules import Rule
from caten_sd.state.keys import INDEX_SEGMENT
from caten_sd.state.state_dict import StateDict, as_state_dict, spec_or_none
from caten_sd.state.training_keys import model_part

MAX_PREFIX = 8  # parts


class Candidate(NamedTuple):
    """How well a layout fits: the keys it takes, its rows that found none, and what speaks against.

    ``told`` is one tensor whose shape can be so in this layout and not the other way round.
    """

    layout: Layout
    taken: int
    total: int
    findings: Findings
    numbers: Mapping[str, int]
    told: str = ""

    @property
    def score(self) -> float:
        """The share of the keys that it takes; 0 where a shape contradicts it."""
        return 0.0 if self.findings.misfits else self.taken / max(self.total, 1)

    @property
    def fits(self) -> bool:
        """Say whether it takes half of the keys and half of its rows find one."""
        rows = len(self.layout.reading.rules)
        return self.score >= 0.5 and len(self.findings.idle) * 2 <= rows

    def __str__(self) -> str:
        text = f"{self.layout.name} takes {self.taken} of {self.total} keys"
        if self.findings.misfits:
            return f"{text}, but {self.findings.misfits[0]}"
        idle = len(self.findings.idle)
        return f"{text}, and {idle} of its rows find none" if idle else text


class Detection(NamedTuple):
    """The layout found, or None, with the evidence, and every candidate, the best first.

    ``numbers`` are those that the shapes tell: n_layer, n_embd, ... Head counts are in no shape.
    Where none is found but would be without what every key begins with, that is the ``prefix``, and
    the layout is ``behind`` it.
    """

    layout: Layout | None
    evidence: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    numbers: Mapping[str, int]
    prefix: str = ""
    behind: Layout | None = None

    @property
    def architecture(self) -> str:
        """The architecture of the layout, or ""."""
        return self.layout.architecture if self.layout else ""

    def decided(self) -> Layout:
        """Return the layout; LayoutError that asks for it where none or several fit."""
        if self.layout is not None:
            return self.layout
        remedy = "" if self.behind else "; name the layout with source="
        raise LayoutError("; ".join(self.evidence) + remedy)

    def __str__(self) -> str:
        head = "not known"
        if self.layout is not None:
            numbers = [f"{name} {number}" for name, number in self.numbers.items()]
            head = f"{self.layout.name} ({self.architecture}: {', '.join(numbers)})"
        return "\n  ".join([head, *self.evidence])


def detect_layout(state_dict: Mapping[str, Any]) -> Detection:
    """Return the layout whose names the keys are and whose shapes they have, or which may be.

    Nothing is read. Where two layouts fit alike none is chosen.
    """
    return _detect(model_part(as_state_dict(state_dict)), 0)


def _detect(state: StateDict, cut: int) -> Detection:
    """Return what is found of keys from which ``cut`` parts of a prefix were taken."""
    samples = _samples(state)
    weighed: list[Candidate] = []
    for known in (built_in_layouts, announced_layouts):
        weighed += [_weigh(layout, state, samples) for layout in known().values()]
        if any(each.fits for each in weighed):
            break
    weighed.sort(key=_rank, reverse=True)
    found = _decide(state, tuple(each for each in weighed if each.taken))
    recognised = any(each.fits for each in weighed)
    return found if recognised or cut == MAX_PREFIX else _behind_prefix(state, found, cut)


def _behind_prefix(state: StateDict, found: Detection, cut: int) -> Detection:
    """Return what is found, with the layout that the keys have behind their common prefix."""
    first = next(iter(state), "").partition(".")[0] + "."
    if first[:-1].isdecimal() or not all(key.startswith(first) for key in state):
        return found
    rest = {key[len(first) :]: leaf for key, leaf in state.items()}
    ties = {key[len(first) :]: name[len(first) :] for key, name in state.ties.items()}
    inner = _detect(StateDict(rest, ties=ties), cut + 1)
    layout = inner.layout or inner.behind
    if layout is None:
        return found
    prefix = first + inner.prefix if inner.prefix else first[:-1]
    told = (
        f"behind {prefix + '.'!r}, with which every key begins, it is {layout.name}: open it with "
        f"root={prefix!r} or --root {prefix}"
    )
    return found._replace(evidence=(*found.evidence, told), prefix=prefix, behind=layout)


def _rank(candidate: Candidate) -> tuple[bool, int, bool]:
    return candidate.fits, candidate.taken, not candidate.findings.idle


def _decide(state: StateDict, candidates: tuple[Candidate, ...]) -> Detection:
    fitting = [each for each in candidates if each.fits]
    equal = [each for each in fitting if _rank(each) == _rank(fitting[0])]
    if len(equal) == 1:
        best = _weigh(equal[0].layout, state, dict.fromkeys(state, 1))
        others = [str(each) for each in candidates if each.layout is not best.layout]
        numbers = {**_counted(best.layout, state), **best.numbers}
        return Detection(best.layout, (*_evidence(best), *others), candidates, numbers)
    if equal:
        names = " and ".join(each.layout.name for each in equal)
        evidence = [f"{names} fit the {len(state)} keys and their shapes alike"]
    else:
        said = [str(each) for each in candidates[:3]]
        evidence = ["no layout was recognised", *said]
    return Detection(None, tuple(evidence), candidates, {})


def _evidence(best: Candidate) -> list[str]:
    told = [f"{best.taken} of {best.total} keys are its names"]
    told += [best.told] if best.told else []
    return told + best.findings.lines()


def _samples(state: StateDict) -> dict[str, int]:
    """Return one key for each name but for indices and shape, with how many it stands for."""
    first: dict[Any, str] = {}
    counts: dict[str, int] = {}
    for key, leaf in state.items():
        known = spec_or_none(leaf)
        kind = INDEX_SEGMENT.sub("#", key), known and known.shape
        sample = first.setdefault(kind, key)
        counts[sample] = counts.get(sample, 0) + 1
    return counts


def _weigh(layout: Layout, state: StateDict, samples: Mapping[str, int]) -> Candidate:
    """Weigh a layout by samples, or by every key where its rows need all the indices."""
    if any(rule.stacked for rule in layout.reading.rules):
        samples = dict.fromkeys(state, 1)
    items = [item for item in items_of(state) if item.key in samples]
    reading = read_canonical(layout, items, Numbers({}), lenient=True)
    findings = reading.findings
    taken = sum(samples.values()) - sum(samples[key] for key in findings.untaken)
    told = _telling_shape(layout, state, reading)
    return Candidate(layout, taken, len(state), findings, reading.numbers, told)


def _telling_shape(layout: Layout, state: StateDict, reading: Reading) -> str:
    """Return one tensor whose shape says which way round it lies, as a sentence; or ""."""
    for item in sorted(reading.items, key=lambda item: item.plain):
        sizes = declared(layout.canonical.reading, item)
        known, given = spec_or_none(item.leaf), spec_or_none(state.entry.get(item.origin))
        if not sizes or not known or not given or len(sizes) != 2:
            continue
        # Only sizes that share a name, as (3*n, n) does, exclude the other way round.
        if solve(sizes, known.shape, {}) and not solve(sizes, known.shape[::-1], {}):
            turned = "" if item.plain else " transposed"
            return f"{item.origin} is {given.shape}, {size_text(sizes)}{turned}"
    return ""


def _counted(layout: Layout, state: StateDict) -> dict[str, int]:
    """Return the numbers that captured indices count, from all keys."""
    counts: dict[str, int] = {}
    for key in state:
        for taker, captured in layout.reading.matcher.find(key):
            for capture, index in captured.items():
                name = layout.counts.get(capture)
                if name and is_index(capture) and isinstance(taker.rule, Rule):
                    counts[name] = max(counts.get(name, 0), int(index) + 1)
    return counts

"""The layout between two states of the same weights, found from their values and proved by them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Operation
from caten_sd.mapping.rows import Drop, Row, canonical_rows
from caten_sd.mapping.self_description import said, stated_numbers
from caten_sd.proof.axis_ends import pair_by_ends
from caten_sd.proof.given_states import given_states, no_tensors
from caten_sd.proof.index_rows import Rows, index_rows
from caten_sd.proof.name_evidence import pair_by_names
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.near_joins import pair_near_joins
from caten_sd.proof.near_values import pair_near
from caten_sd.proof.operation_search import Between, between
from caten_sd.proof.pairing import Pairing, paired
from caten_sd.proof.proving import prove
from caten_sd.proof.value_changes import pair_by_formula
from caten_sd.proof.weights import Weights
from caten_sd.state.options import checked_options
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted


class Undecided(NamedTuple):
    """A tensor that no row explains: the side it is on, its key, and why."""

    side: str
    key: str
    reason: str


class MatchedTensors(NamedTuple):
    """Tensors of A, those of B that hold their values, and the operation from A to B."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    operation: Operation


@attrs.frozen(repr=False)
class Explanation(HasSheet):
    """What two states of the same weights have to do with each other.

    ``layout`` is that of B, with the names of A as the canonical ones, or None where nothing is
    explained. ``matches`` has the tensors and the operation of each match. ``evidence`` has what
    paired the tensors of a row, by its text, where that was not their values alone. ``wrong`` has
    the tensors that the layout does not give as they are, and why. ``apart`` is how far values are
    apart at most, in spreads of the values of a tensor. ``repeated`` has a tensor of the same state
    for each further one with its values.
    """

    layout: Layout | None
    matches: Sequence[MatchedTensors]
    undecided: Sequence[Undecided]
    evidence: Mapping[str, str]
    wrong: Mapping[str, str]
    rounded: Sequence[str]
    apart: float
    repeated: Mapping[str, str]
    tensors: tuple[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether every tensor of both is explained, and the layout gives the values both ways."""
        return self.layout is not None and not self.undecided and not self.wrong

    @property
    def rows(self) -> list[Row]:
        """The rows between the tensors of A and those of B."""
        found = self.layout.rows if self.layout is not None else ()
        return [row for row in found if isinstance(row, Row) and not row.tied]

    @property
    def verdict(self) -> str:
        """How many tensors of A and B are explained by how many rows, and whether it is proved."""
        texts = []
        for side, count in zip("AB", self.tensors, strict=True):
            left = sum(each.side == side for each in self.undecided)
            texts.append(f"{count - left:,} of {counted(count, 'tensor')} in {side}")
        text = f"{' and '.join(texts)} are explained by {counted(len(self.rows), 'row')}"
        if not self.rows:
            return text
        if self.wrong:
            return f"{text}, which {counted(len(self.wrong), 'tensor')} contradict"
        return f"{text}, proved both ways"

    def sheet(self) -> Sheet:
        """Return the sheet: the rows, and what is undecided, by its reason."""
        rows = [
            SheetRow(str(row), self._detail(row), data=functools.partial(self._data, row))
            for row in self.rows
        ]
        wrong = [SheetRow(key, reason) for key, reason in self.wrong.items()]
        same = [SheetRow(key, f"the values of {other}") for key, other in self.repeated.items()]
        groups = [
            SheetGroup("name in A <-> name in B", rows),
            SheetGroup("not as the rows say", wrong),
            SheetGroup("the same values again", same),
            *self._undecided(),
        ]
        shown = [group for group in groups if group.rows]
        bare = not self.rows and not any(each.reason for each in self.undecided)
        cause = "no tensor of one has the values of a tensor of the other" if bare else ""
        return Sheet("explanation", self.verdict, self._notes(), shown, cause)

    def _detail(self, row: Row) -> str:
        parts = [] if row.renames_only else [repr(row.operation)]
        parts += [f"where {row.where}"] * bool(row.where)
        said = self.evidence.get(str(row))
        return "; ".join([*parts, f"paired by {said}"] if said else parts)

    def _data(self, row: Row) -> dict[str, Any]:
        return {
            "canonical": list(row.canonical_names),
            "here": list(row.names),
            "operation": "" if row.renames_only else repr(row.operation),
            "where": row.where,
            "paired_by": self.evidence.get(str(row), "values"),
        }

    def _undecided(self) -> list[SheetGroup]:
        reasons: dict[str, list[SheetRow]] = {}
        for each in self.undecided:
            title = f"in {each.side}, {each.reason}" if each.reason else f"only in {each.side}"
            reasons.setdefault(title, []).append(SheetRow(each.key))
        return [SheetGroup(title, keys) for title, keys in reasons.items()]

    def _notes(self) -> list[str]:
        count = len(self.rounded)
        text = f"{counted(count, 'tensor is', 'tensors are')} equal once rounded to the other dtype"
        apart = f"values are up to {self.apart:.2g} of their spread apart"
        return [text] * bool(count) + [apart] * bool(self.apart)


@checked_options()
def explain(
    a: Any,
    b: Any,
    *,
    config: Any = None,
    name: str = "mine",
    **numbers: int,
) -> Explanation:
    """Return the layout between two states of the same weights, found from their values.

    The states are state dicts, locations or live models. The names of ``a`` are the canonical ones,
    and the layout, of this ``name``, is that of ``b``. ``config``, or else the config.json next to
    a file, and the keywords give the numbers whose names operations have, such as head counts. How
    alike two names are counts for nothing.

    >>> import numpy
    >>> w = numpy.arange(6.0).reshape(2, 3)
    >>> print(explain({"fc.weight": w}, {"dense/kernel": w.T}))
    1 of 1 tensor in A and 1 of 1 tensor in B are explained by 1 row, proved both ways
    name in A <-> name in B (1):
      fc.weight <-> dense/kernel: Transpose(axes=None)
    """
    with given_states(a, b, done="explained") as (here, there):
        names = NamedSizes(numbers_of(here, there, config, numbers))
        return _explained(here, there, name, names)


def _explained(a: StateDict, b: StateDict, name: str, names: NamedSizes) -> Explanation:
    here, there = Weights(a), Weights(b)
    _refuse_empty(here, there)
    levels = here.levels | there.levels
    for each in (here, there):
        each.read(levels)
    found = paired(here, there)
    pair_by_names(found)
    explained, undecided = _operations(found, here, there, names)
    explained += pair_by_formula(found, here, there, names)
    cut, lost = pair_by_ends(found, here, there, names)
    explained += cut
    explained += pair_near(found, here, there, names)
    explained += pair_near_joins(found, here, there, names)
    rows = index_rows(explained)
    called = [each for state in (a, b) for each in said(state).values()]
    layout = _layout(name, rows, found, called)
    proof = prove(a, b, layout, explained, names.numbers)
    if layout is not None and proof.wrong:
        layout = dataclasses.replace(layout, proof="")
    return Explanation(
        layout,
        [MatchedTensors(*each.match.keys, each.operation) for each in explained],
        [*undecided, *_left(found), *_lost(lost), *_refused(here, there)],
        _evidence(rows),
        proof.wrong,
        proof.rounded,
        max((each.apart for each in explained), default=0.0),
        {**found.repeated[0], **found.repeated[1]},
        (len(here.specs) + len(here.refused), len(there.specs) + len(there.refused)),
    )


def _evidence(rows: Sequence[Rows]) -> dict[str, str]:
    said = {
        str(each.row): dict.fromkeys(m.match.said for m in each.members if m.match.said)
        for each in rows
    }
    return {row: " and ".join(texts) for row, texts in said.items() if texts}


def _refuse_empty(a: Weights, b: Weights) -> None:
    for side, weights in (("A", a), ("B", b)):
        if not weights.specs and not weights.refused:
            raise no_tensors(side, "no tensors with values", "explained")


def numbers_of(
    a: StateDict, b: StateDict, config: Any, numbers: Mapping[str, int]
) -> dict[str, int]:
    """Return the numbers of a configuration, of the files' own and of the caller by their names."""
    found: dict[str, Any] = {}
    given = [config] if config is not None else [a.config, b.config]
    for each in given:
        values = each if isinstance(each, Mapping) else getattr(each, "__dict__", {})
        for part in (values.get("text_config"), values):
            known = part if isinstance(part, Mapping) else getattr(part, "__dict__", {})
            found.update({str(key): value for key, value in known.items()})
    if not found:
        for state in (a, b):
            found.update(stated_numbers(state.metadata))
    found.update(numbers)
    return {
        key: value
        for key, value in found.items()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0
    }


def _operations(
    found: Pairing, a: Weights, b: Weights, names: NamedSizes
) -> tuple[list[Between], list[Undecided]]:
    """Return the matches with their operations, and the keys of those that have none."""
    explained, undecided = [], []
    order = {key: n for n, key in enumerate(a.specs)}
    for match in sorted(found.matches, key=lambda each: order[each.a[0].keys[0]]):
        known = between(match, a, b, names)
        if known is not None:
            explained.append(known)
            continue
        others = [" and ".join(source.name for source in side) for side in (match.b, match.a)]
        for side, keys, other in zip("AB", match.keys, others, strict=True):
            reason = f"the values of {other} in an order that no operation gives"
            undecided += [Undecided(side, key, reason) for key in keys]
    return explained, undecided


def _left(found: Pairing) -> Iterator[Undecided]:
    reasons: dict[tuple[str, str], str] = {}
    for equal in found.equal:
        if equal.a and equal.b:
            kind = "one value throughout" if equal.is_constant else "values that others have too"
            reasons.update({("A", key): kind for key in equal.a})
            reasons.update({("B", key): kind for key in equal.b})
    for side, keys in (("A", found.a), ("B", found.b)):
        yield from (Undecided(side, key, reasons.get((side, key), "")) for key in keys)


def _lost(lost: Mapping[str, str]) -> Iterator[Undecided]:
    yield from (Undecided("A", key, reason) for key, reason in lost.items())


def _refused(a: Weights, b: Weights) -> Iterator[Undecided]:
    for side, weights in (("A", a), ("B", b)):
        yield from (Undecided(side, key, reason) for key, reason in weights.refused.items())


def _layout(
    name: str, rows: Sequence[Rows], found: Pairing, called: Sequence[str]
) -> Layout | None:
    if not rows:
        return None
    tied, dropped = found.repeated
    first = {key for each in rows for member in each.members for key in member.match.keys[0]}
    ties = [Row(key, tied=other) for key, other in tied.items() if other in first]
    drops = [Drop(key, f"the values of {other}") for key, other in dropped.items()]
    own = [each.row for each in rows]
    base = Layout(f"{name}-a", canonical_rows([*own, *ties]), architecture=name, model_types=called)
    near = any(member.apart for each in rows for member in each.members)
    shown = f"{'near' if near else 'equal'} values, both ways"
    return Layout(name, [*own, *ties, *drops], base=base, proof=shown)

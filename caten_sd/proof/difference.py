"""What differs between two states: what a diff found, as a value, and the verb that finds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from caten_sd.errors.printable import printable
from caten_sd.mapping.layout import Layout
from caten_sd.proof.diff_cause import likely_cause
from caten_sd.proof.diff_rest import diff_rows
from caten_sd.proof.diff_rows import DiffRow, summary_of
from caten_sd.proof.diff_sides import SameNames, under_same_names
from caten_sd.proof.explanation import numbers_of
from caten_sd.proof.given_states import given_states
from caten_sd.proof.key_indices import indexed
from caten_sd.proof.likeness import Likeness
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.state.options import checked_options
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import counted


@attrs.frozen(repr=False)
class Diff(HasSheet):
    """What differs between two states: a row for each tensor, and what was done to compare them.

    The rows are ordered: the ones that differ most first. ``notes`` say in which names they are.
    """

    rows: Sequence[DiffRow]
    notes: Sequence[str] = ()

    @property
    def is_same(self) -> bool:
        """Whether every tensor of each has the same name and the same values in the other."""
        return all(row.likeness.is_same for row in self.rows)

    def of(self, likeness: Likeness) -> list[DiffRow]:
        """Return the rows of one kind."""
        return [row for row in self.rows if row.likeness is likeness]

    @property
    def verdict(self) -> str:
        """How many tensors differ, and in what way."""
        counts = Counter(row.likeness for row in self.rows)
        found = {each: f"{counts[each]:,} {each.value}" for each in Likeness if counts[each]}
        same = ", ".join(text for each, text in found.items() if each.is_same)
        apart = ", ".join(text for each, text in found.items() if not each.is_same)
        total = counted(len(self.rows), "tensor")
        if self.is_same:
            return f"no value differs in {total}: {same}"
        if found.keys() <= {Likeness.ONLY_A, Likeness.ONLY_B}:
            return f"no tensor is in both: {apart}"
        count = sum(not row.likeness.is_same for row in self.rows)
        verb = "differs" if count == 1 else "differ"
        return "; ".join([f"{count:,} of {total} {verb}: {apart}", *([same] if same else [])])

    def sheet(self) -> Sheet:
        """Return the sheet: a group for each kind, the keys of each pattern on one line."""
        kinds: dict[Likeness, list[DiffRow]] = {each: [] for each in Likeness}
        for row in self.rows:
            kinds[row.likeness].append(row)
        groups = [_group(likeness, rows) for likeness, rows in kinds.items() if rows]
        counts = {likeness.name.lower(): len(rows) for likeness, rows in kinds.items()}
        cause = likely_cause(self.rows)
        return Sheet("diff", self.verdict, self.notes, groups, cause, data={"counts": counts})

    def diffable(self) -> str:
        """Return a line for each tensor, in the order of the keys, for ``diff -u`` of two diffs."""
        lines = sorted((printable(row.key), row.likeness.value, row.text()) for row in self.rows)
        return "\n".join(": ".join(filter(None, line)) for line in lines)


def _group(likeness: Likeness, found: Sequence[DiffRow]) -> SheetGroup:
    quiet = likeness is Likeness.BYTES
    rows = [SheetRow(row.key, row.text(), quiet=quiet, data=row.data) for row in found]
    by_key = {row.key: row for row in found}
    return SheetGroup(likeness.value, rows, lambda keys: summary_of([by_key[key] for key in keys]))


@checked_options()
def diff(
    a: Any,
    b: Any,
    *,
    layout: str | Layout | None = None,
    config: Any = None,
    quick: bool = False,
    **numbers: int,
) -> Diff:
    """Return what differs between two states: state dicts, locations or live models.

    Where the layouts of both are known and differ, both are compared in the canonical names, and
    in those of ``layout`` if that is given. What does not meet by name is looked for by contents.
    ``config``, or else the config.json next to a file, and the keywords give the numbers that
    layouts name, such as head counts. ``quick`` leaves out the mean difference and how many
    elements changed, of tensors of one name, which saves up to a fifth of the time.

    >>> import numpy
    >>> w = numpy.ones((2, 2), "f4")
    >>> print(diff({"fc.weight": w, "fc.bias": w[0]}, {"fc.weight": w * 1.5, "fc.bias": w[0]}))
    1 of 2 tensors differs: 1 changed; 1 the same bytes
    changed (1):
      fc.weight: relative rms 0.5; largest 0.5, mean 0.5, cosine 1
    """
    with given_states(a, b, done="compared") as (here, there):
        sides = under_same_names(here, there, layout, config, numbers)
        names = NamedSizes(numbers_of(here, there, config, numbers))
        rows = diff_rows(sides.a, sides.b, names, quick=quick)
        return Diff(_ordered(_with_origins(rows, sides)), sides.notes)


def _with_origins(rows: Sequence[DiffRow], sides: SameNames) -> list[DiffRow]:
    """Return the rows with the names that the tensors have in A and in B themselves."""
    here, there = sides.origins
    if not here and not there:
        return list(rows)
    return [row._replace(a=_own(row.a, here), b=_own(row.b, there)) for row in rows]


def _own(names: Sequence[str], origins: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found = [own for name in names for own in origins.get(name) or (name,)]
    return tuple(dict.fromkeys(found))


def _ordered(rows: Sequence[DiffRow]) -> list[DiffRow]:
    """Return the rows by kind, the pattern with the largest relative difference first."""
    order = {each: n for n, each in enumerate(Likeness)}
    known: dict[str, str] = {}  # one text for the rows of a template
    found = (indexed(row.key).template for row in rows)
    templates = [known.setdefault(each, each) for each in found]
    most: dict[str, float] = {}
    for row, template in zip(rows, templates, strict=True):
        shown = float(f"{row.relative:.2g}")  # so that noise in the last digits changes no order
        most[template] = max(most.get(template, 0.0), shown)
    numbered = sorted(
        range(len(rows)), key=lambda n: (order[rows[n].likeness], -most[templates[n]])
    )
    return [rows[n] for n in numbered]

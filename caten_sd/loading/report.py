"""What a load would do, and what it did: values that print on one screen."""

from __future__ import annotations

import enum
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import attrs

from caten_sd.errors import LoadError
from caten_sd.state.leaf import Spec
from caten_sd.state.sheet import HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import counted


class Outcome(str, enum.Enum):
    """What happens to one slot of the model or one key of the file, in the words of a report."""

    LOADED = "loaded"
    CAST = "loaded with a change of dtype"
    TIED = "tied to a slot that is loaded"
    COMPUTED = "computed by the model, not loaded"
    SKIPPED = "skipped, as asked"
    KEPT = "kept, as files of such a model do without it"
    LEFT_OUT = "in the file, and left out, as the class of the model says"
    MISSING = "in the model, not in the file"
    UNEXPECTED = "in the file, not in the model"
    SHAPE = "of another shape in the file"
    DTYPE = "of a dtype that the slot cannot hold"
    UNREAD = "in the file, but not as a tensor"
    UNASSIGNABLE = "in a slot that cannot be changed"
    CONFLICT = "tied in the model, and different in the file"


COPIED = (Outcome.LOADED, Outcome.CAST)
FITS = (*COPIED, Outcome.TIED)
FAULTS = (
    Outcome.CONFLICT,
    Outcome.UNASSIGNABLE,
    Outcome.SHAPE,
    Outcome.DTYPE,
    Outcome.UNREAD,
    Outcome.MISSING,
    Outcome.UNEXPECTED,
)
SHOWN = (
    Outcome.LOADED,
    Outcome.CAST,
    Outcome.TIED,
    Outcome.COMPUTED,
    Outcome.SKIPPED,
    Outcome.KEPT,
    Outcome.LEFT_OUT,
)
QUIET = (Outcome.LOADED,)  # printed only with a note


class LoadRow(NamedTuple):
    """One slot or key: ``slot`` is what the model has, ``leaf`` what the file has.

    ``source`` is the key of the leaf in the file. ``error`` is the largest absolute difference
    that a cast made; it is known after the load. ``finding`` is what ``check_values`` found.
    """

    key: str
    outcome: Outcome
    slot: Spec | None = None
    leaf: Spec | None = None
    source: str | None = None
    note: str = ""
    error: float | None = None
    finding: str = ""

    @property
    def detail(self) -> str:
        """The shape and dtype, of both sides if they differ, and the note."""
        parts = []
        if self.slot and self.leaf and self.slot.shape != self.leaf.shape:
            parts.append(f"file {list(self.leaf.shape)}, model {list(self.slot.shape)}")
        if self.slot and self.leaf and self.slot.dtype != self.leaf.dtype:
            parts.append(f"file {self.leaf.dtype}, model {self.slot.dtype}")
        if self.note:
            parts.append(self.note)
        elif not parts and (known := self.slot or self.leaf):
            parts.append(f"{list(known.shape)} {known.dtype}")
        return "; ".join(parts)

    def in_sheet(self) -> SheetRow:
        """Return the row of a sheet."""
        known = self.slot or self.leaf
        return SheetRow(
            self.key,
            self.detail,
            shape=known and known.shape,
            error=self.error,
            quiet=self.outcome in QUIET and not self.note,
            data=self._data,
        )

    def _data(self) -> dict[str, Any]:
        return {
            "file_key": self.source,
            "model": _spec_dict(self.slot),
            "file": _spec_dict(self.leaf),
            "note": self.note,
            "largest_error": self.error,
            "finding": self.finding,
        }


@attrs.frozen(repr=False)
class Ledger(HasSheet):
    """Every slot and every key of a load, each in one row; a plan and a report are both one.

    ``notes`` are about the load as a whole (a prefix that was stripped). ``cause`` is what is
    likely wrong, and ``fix`` the one line that mends it.
    """

    kind: ClassVar[str]
    model: str
    rows: Sequence[LoadRow]
    notes: Sequence[str] = ()
    cause: str = ""
    fix: str = ""

    def of(self, *outcomes: Outcome) -> list[LoadRow]:
        """Return the rows with one of these outcomes, in order."""
        if self._outcomes.isdisjoint(outcomes):
            return []
        return [row for row in self.rows if row.outcome in outcomes]

    @functools.cached_property
    def _outcomes(self) -> frozenset[Outcome]:
        found: list[Outcome] = []
        for row in self.rows:  # a set would take three times as long, as members of an Enum hash
            if row.outcome not in found:
                found.append(row.outcome)
        return frozenset(found)

    @property
    def fits(self) -> bool:
        """Whether every slot gets a value and every key is used or allowed to be left out."""
        return not self.of(*FAULTS)

    @property
    def verdict(self) -> str:
        """The result in one line, with counts."""
        counts = Counter(row.outcome for row in self.rows)
        slots = sum(row.slot is not None or row.outcome in FITS for row in self.rows)
        slots -= counts[Outcome.KEPT]
        done = len(self.of(*FITS))
        wrong = [f"{counts[each]:,} {each.value}" for each in FAULTS if counts[each]]
        wrong += [f"{counts[each]:,} {each.value}" for each in (Outcome.LEFT_OUT,) if counts[each]]
        end = "; " + "; ".join(wrong) if wrong else ", and the file has nothing else"
        fit = "fits" if done == 1 else "fit"
        return f"{done:,} of {counted(slots, 'slot')} of {self.model} {fit}{end}"

    @property
    def sound(self) -> bool:
        """Whether no value that was checked is NaN or infinite."""
        findings = [row.finding for row in self.rows if row.finding]
        return not any("NaN" in each or "Inf" in each for each in findings)

    def sheet(self) -> Sheet:
        """Return the sheet: a group of rows for each outcome, and one for odd values."""
        rows: dict[Outcome, list[SheetRow]] = {outcome: [] for outcome in (*FAULTS, *SHOWN)}
        for row in self.rows:
            rows[row.outcome].append(row.in_sheet())
        odd = [SheetRow(row.key, row.finding) for row in self.rows if row.finding]
        return Sheet(
            self.kind,
            self.verdict,
            self.notes,
            [
                *(SheetGroup(outcome.value, found) for outcome, found in rows.items()),
                SheetGroup("odd values", odd),
            ],
            self.cause,
            self.fix,
            {"model": self.model, "fits": self.fits, "sound": self.sound},
        )


@attrs.frozen(repr=False)
class LoadPlan(Ledger):
    """What a load would do; nothing is changed before ``apply()``."""

    kind: ClassVar[str] = "load plan"

    _apply: Callable[[LoadPlan, bool], LoadReport] = attrs.field(
        kw_only=True, eq=False, alias="apply"
    )

    def apply(self, *, unchanged: bool = False) -> LoadReport:
        """Carry out the whole plan or nothing of it, and return the report.

        LoadError if slots of the object hold other arrays than when the plan was made; a caller
        that knows that they do not spares this check with ``unchanged``.
        """
        return self._apply(self, unchanged)


@attrs.frozen(repr=False)
class LoadReport(Ledger):
    """What a load did."""

    kind: ClassVar[str] = "load report"


def require_loadable(plan: LoadPlan) -> None:
    """Raise LoadError for a plan that no mode allows; nothing was changed then.

    Nothing would be loaded, names that are tied differ in the file, or a slot cannot be changed.
    """
    if plan.rows and not plan.of(*FITS):
        raise LoadError(f"nothing would be loaded: {plan}\nnothing was changed", plan)
    if plan.of(Outcome.CONFLICT, Outcome.UNASSIGNABLE):
        raise LoadError(f"{plan}\nnothing was changed", plan)


def require_fit(plan: LoadPlan) -> None:
    """Raise LoadError for a plan that a strict load does not allow; nothing was changed then."""
    if not (plan.fits and plan.sound):
        raise LoadError(f"{plan}\nnothing was changed", plan)


def _spec_dict(spec: Spec | None) -> dict[str, Any] | None:
    return spec and {"shape": list(spec.shape), "dtype": spec.dtype.name, "bytes": spec.nbytes}

"""What a load would do, and what it did: values that print on one screen."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from caten_sd.errors import LoadError
from caten_sd.errors.printable import one_line
from caten_sd.state.grouping import MAX_LINES, closing, group_keys, shortened
from caten_sd.state.leaf import Spec
from caten_sd.wording import counted


class Outcome(str, enum.Enum):
    """What happens to one slot of the model or one key of the file."""

    LOADED = "loaded"
    CAST = "cast"
    TIED = "tied"
    COMPUTED = "computed"
    SKIPPED = "skipped"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    SHAPE = "wrong shape"
    DTYPE = "refused dtype"
    UNASSIGNABLE = "unassignable"
    CONFLICT = "conflict"


WORDS = {
    Outcome.LOADED: "loaded",
    Outcome.CAST: "loaded with a change of dtype",
    Outcome.TIED: "tied to a slot that is loaded",
    Outcome.COMPUTED: "computed by the model, not loaded",
    Outcome.SKIPPED: "skipped, as asked",
    Outcome.MISSING: "in the model, not in the file",
    Outcome.UNEXPECTED: "in the file, not in the model",
    Outcome.SHAPE: "of another shape in the file",
    Outcome.DTYPE: "of a dtype that the slot cannot hold",
    Outcome.UNASSIGNABLE: "in a slot that cannot be changed",
    Outcome.CONFLICT: "tied in the model, and different in the file",
}
COPIED = (Outcome.LOADED, Outcome.CAST)
FITS = (*COPIED, Outcome.TIED)
FAULTS = (
    Outcome.CONFLICT,
    Outcome.UNASSIGNABLE,
    Outcome.SHAPE,
    Outcome.DTYPE,
    Outcome.MISSING,
    Outcome.UNEXPECTED,
)
SHOWN = (Outcome.LOADED, Outcome.CAST, Outcome.TIED, Outcome.COMPUTED, Outcome.SKIPPED)
QUIET = (Outcome.LOADED,)  # shown only with a note


@attrs.frozen
class LoadRow:
    """One slot or key: ``slot`` is what the model has, ``leaf`` what the file has.

    ``source`` is the key of the leaf in the file. ``error`` is the largest absolute difference
    that a cast made; it is known after the load. ``finding`` is what ``check="values"`` found.
    """

    key: str
    outcome: Outcome
    slot: Spec | None = None
    leaf: Spec | None = None
    source: str | None = None
    note: str = ""
    error: float | None = None
    finding: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values, for JSON."""
        return {
            "key": self.key,
            "outcome": self.outcome.value,
            "file_key": self.source,
            "model": _spec_dict(self.slot),
            "file": _spec_dict(self.leaf),
            "note": self.note,
            "largest_error": self.error,
            "finding": self.finding,
        }


@attrs.frozen(repr=False)
class Ledger:
    """Every slot and every key of a load, each in one row; a plan and a report are both one.

    ``notes`` are about the load as a whole (a prefix that was stripped). ``cause`` is what is
    likely wrong, and ``fix`` the one line that mends it.
    """

    model: str
    rows: Sequence[LoadRow] = attrs.field(repr=False)
    notes: Sequence[str] = ()
    cause: str = ""
    fix: str = ""

    def of(self, *outcomes: Outcome) -> list[LoadRow]:
        """Return the rows with one of these outcomes, in order."""
        return [row for row in self.rows if row.outcome in outcomes]

    @property
    def fits(self) -> bool:
        """Whether every slot gets a value and every key is used or allowed to be left out."""
        return not self.of(*FAULTS)

    @property
    def verdict(self) -> str:
        """The result in one line, with counts."""
        slots = sum(row.slot is not None or row.outcome in FITS for row in self.rows)
        done = len(self.of(*FITS))
        counts = Counter(row.outcome for row in self.rows)
        wrong = [f"{counts[o]} {WORDS[o]}" for o in FAULTS if counts[o]]
        end = "; " + "; ".join(wrong) if wrong else ", and the file has nothing else"
        fit = "fits" if done == 1 else "fit"
        return f"{done:,} of {counted(slots, 'slot')} of {self.model} {fit}{end}"

    @property
    def sound(self) -> bool:
        """Whether no value that was checked is NaN or infinite."""
        return not any("NaN" in row.finding or "Inf" in row.finding for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "fits": self.fits,
            "sound": self.sound,
            "model": self.model,
            "counts": {o.value: len(self.of(o)) for o in Outcome},
            "notes": list(self.notes),
            "cause": self.cause,
            "fix": self.fix,
            "rows": [row.to_dict() for row in self.rows],
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {one_line(self.verdict)}>"

    def __str__(self) -> str:
        tail = closing(self.cause, self.fix)
        head = list(map(one_line, [self.verdict + ".", *self.notes]))
        room = MAX_LINES - len(head) - len(tail)
        sections = list(self._sections(detailed=True))
        if sum(map(len, sections)) > room:
            sections = list(self._sections(detailed=False))
        return "\n".join(head + list(map(one_line, shortened(sections, room))) + tail)

    def _sections(self, detailed: bool) -> Iterator[list[str]]:
        """Yield a heading for each outcome worth showing, and its keys by pattern.

        Keys of one pattern share a line if their details are equal, or if there is no room for
        details.
        """
        for outcome in (*FAULTS, *SHOWN):
            rows = [row for row in self.of(outcome) if outcome not in QUIET or row.note]
            if not rows:
                continue
            equal: dict[str, list[str]] = {}
            for row in rows:
                equal.setdefault(_detail(row) if detailed else "", []).append(row.key)
            by_key = {row.key: row for row in rows}
            yield [
                f"{WORDS[outcome]} ({len(rows)}):",
                *(
                    f"  {group}{_summary([by_key[key] for key in group.keys])}"
                    for keys in equal.values()
                    for group in group_keys(keys)
                ),
            ]
        yield from self._findings()

    def _findings(self) -> Iterator[list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.finding:
                found.setdefault(row.finding, []).append(row.key)
        if found:
            lines = [
                f"  {group}: {text}" for text, keys in found.items() for group in group_keys(keys)
            ]
            yield [f"odd values ({sum(map(len, found.values()))}):", *lines]


@attrs.frozen(repr=False)
class LoadPlan(Ledger):
    """What a load would do; nothing is changed before ``apply()``."""

    _apply: Callable[[LoadPlan], LoadReport] = attrs.field(
        kw_only=True, repr=False, eq=False, alias="apply"
    )

    def apply(self) -> LoadReport:
        """Carry out the whole plan or nothing of it, and return the report."""
        return self._apply(self)


@attrs.frozen(repr=False)
class LoadReport(Ledger):
    """What a load did."""


def require_loadable(plan: LoadPlan) -> None:
    """Raise LoadError for a plan that no mode allows; nothing was changed then.

    Nothing would be loaded, names that are tied differ in the file, or a slot cannot be changed.
    """
    if plan.rows and not plan.of(*FITS):
        raise LoadError(f"nothing would be loaded: {plan}\nnothing was changed", plan)
    if plan.of(Outcome.CONFLICT, Outcome.UNASSIGNABLE):
        raise LoadError(f"{plan}\nnothing was changed", plan)


def _spec_dict(spec: Spec | None) -> dict[str, Any] | None:
    return spec and {"shape": list(spec.shape), "dtype": spec.dtype.name, "bytes": spec.nbytes}


def _detail(row: LoadRow) -> str:
    """Return the shape and dtype of a row, of both sides if they differ, and its note."""
    parts = []
    if row.slot and row.leaf and row.slot.shape != row.leaf.shape:
        parts.append(f"file {list(row.leaf.shape)}, model {list(row.slot.shape)}")
    if row.slot and row.leaf and row.slot.dtype != row.leaf.dtype:
        parts.append(f"file {row.leaf.dtype}, model {row.slot.dtype}")
    if row.note:
        parts.append(row.note)
    elif not parts and (known := row.slot or row.leaf):
        parts.append(f"{list(known.shape)} {known.dtype}")
    return "; ".join(parts)


def _summary(rows: Sequence[LoadRow]) -> str:
    """Return the details that all rows of a line have, and the largest error among them."""
    details = {_detail(row) for row in rows}
    parts = [details.pop()] if len(details) == 1 else [_shapes(rows)]
    worst = max((row.error for row in rows if row.error is not None), default=None)
    if worst is not None:
        parts.append(f"largest error {worst:.2g}")
    text = "; ".join(part for part in parts if part)
    return f": {text}" if text else ""


def _shapes(rows: Sequence[LoadRow]) -> str:
    shapes = {known.shape for row in rows if (known := row.slot or row.leaf)}
    return f"of {len(shapes)} shapes" if len(shapes) > 1 else ""

"""What applying a layout found besides the tensors, each finding with its keys or rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from caten_sd.mapping.axis_sizes import Size, size_text
from caten_sd.mapping.rows import Row
from caten_sd.state.grouping import few_keys
from caten_sd.wording import counted, first_few


class Misfit(NamedTuple):
    """A tensor whose shape is not as declared; ``swapped`` if it is with its axes reversed."""

    key: str
    canonical: str
    shape: tuple[int, ...]
    sizes: tuple[Size, ...]
    swapped: bool

    def __str__(self) -> str:
        return (
            f"{self.key} would be {self.shape} as {self.canonical}, which is "
            f"declared {size_text(self.sizes)}"
        )


@dataclass
class Findings:
    """What a layout found in a state dict besides the tensors that its rows map.

    ``dropped``: the reason for each dropped key.
    ``tied``: for each name that was added or left out as tied, the tensor that it is tied to.
    ``untaken``: the keys that no row takes, which stay as they are.
    ``idle``: the rows that found no key.
    ``square``: the keys whose orientation is known from the layout only, as the shape is square.
    ``rounded``: the keys that a number is added to.
    ``misfits``: the shapes that are not as declared.
    ``hints``: what whoever reads the result has to do.
    """

    dropped: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    untaken: list[str] = field(default_factory=list)
    idle: list[Row] = field(default_factory=list)
    square: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def complaint(self) -> str:
        """What contradicts the layout, as one sentence; "" if nothing does."""
        faults = []
        if self.untaken:
            count = counted(len(self.untaken), "key has", "keys have")
            faults.append(f"{count} no row: {few_keys(self.untaken)}")
        if self.idle:
            rows = first_few(self.idle, 6, between="; ")
            faults.append(f"{counted(len(self.idle), 'row')} found no key: {rows}")
        if self.misfits:
            count = counted(len(self.misfits), "shape is", "shapes are")
            faults.append(f"{count} not as declared: {self.misfits[0]}")
        return "; ".join(faults)

    def lines(self) -> list[str]:
        """Return the findings as text, one kind on each line."""
        complaint = [self.complaint] * bool(self.complaint)
        return [*self.notes(), *complaint, *self.hints]

    def notes(self) -> list[str]:
        """Return what is not a fault: keys dropped, tied, transposed unconfirmed, or rounded."""
        dropped = self._by_reason().items()
        notes = [f"{few_keys(keys)}: dropped, {reason}" for reason, keys in dropped]
        notes += [f"{name}: tied to {first}" for name, first in self.tied.items()]
        if self.square:
            notes.append(
                f"{few_keys(self.square)}: transposed as the layout says, which a square shape "
                f"cannot confirm"
            )
        if self.rounded:
            notes.append(
                f"{few_keys(self.rounded)}: a number is added, which may round the last digit"
            )
        return notes

    def _by_reason(self) -> dict[str, list[str]]:
        reasons: dict[str, list[str]] = {}
        for key, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(key)
        return reasons

"""What came out of applying a layout besides the tensors, each thing with its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from caten_sd.mapping.axis_sizes import Size, size_text
from caten_sd.mapping.rows import Row
from caten_sd.state.grouping import few_keys
from caten_sd.wording import first_few


class Misfit(NamedTuple):
    """A tensor whose shape is not the one declared; ``swapped``: it is with its axes reversed."""

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
    """What a layout found: keys dropped, tied, not taken; rows not used; what shapes cannot tell.

    ``dropped`` gives the reason of each key, ``tied`` the tensor that each name was added or left
    out for, ``idle`` the rows that found nothing, ``untaken`` the keys that no row takes and that
    stay as they are, ``square`` the keys whose orientation is the layout's word alone, ``rounded``
    those that a number is added to, ``misfits`` the shapes that are not as declared, ``hints``
    what the reader of the result must be told.
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
        """What does not fit the layout, as one sentence; "" where everything does."""
        told = []
        if self.untaken:
            told.append(f"{len(self.untaken)} keys have no row: {few_keys(self.untaken)}")
        if self.idle:
            told.append(
                f"{len(self.idle)} rows found no key: {first_few(self.idle, 6, between='; ')}"
            )
        if self.misfits:
            told.append(f"{len(self.misfits)} shapes are not as declared: {self.misfits[0]}")
        return "; ".join(told)

    def lines(self) -> list[str]:
        """Return the findings as text, one kind a line."""
        complaint = [self.complaint] * bool(self.complaint)
        return [*self.notes(), *complaint, *self.hints]

    def notes(self) -> list[str]:
        """Return what is no fault: what was dropped and why, tied, taken on the layout's word."""
        told = [
            f"{few_keys(keys)}: dropped, {reason}" for reason, keys in self._by_reason().items()
        ]
        told += [f"{name}: tied to {first}" for name, first in self.tied.items()]
        if self.square:
            told.append(
                f"{few_keys(self.square)}: transposed on the layout's word, the shape is square"
            )
        if self.rounded:
            told.append(
                f"{few_keys(self.rounded)}: a number is added, which may round the last digit"
            )
        return told

    def _by_reason(self) -> dict[str, list[str]]:
        reasons: dict[str, list[str]] = {}
        for key, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(key)
        return reasons

"""What applying a layout found besides the tensors, each finding with its keys or rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from caten_sd.mapping.axis_sizes import Size, size_text
from caten_sd.mapping.rows import Row
from caten_sd.state.grouping import few_keys
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.wording import counted, first_few


class Misfit(NamedTuple):
    """A tensor whose shape is not as declared; ``swapped`` if it is with its axes reversed.

    ``expected`` is the declared shape in numbers, where other tensors give them.
    """

    key: str
    canonical: str
    shape: tuple[int, ...]
    sizes: tuple[Size, ...]
    swapped: bool
    expected: tuple[int, ...] = ()

    @property
    def declared(self) -> str:
        """The declared shape, by its names and in numbers."""
        names = size_text(self.sizes)
        return f"{names}, here {self.expected}" if self.expected else names

    def in_sheet(self) -> SheetRow:
        """Return the row of a sheet."""
        return SheetRow(
            self.key,
            f"would be {list(self.shape)}, declared {self.declared}",
            data=lambda: {
                "canonical": self.canonical,
                "shape": self.shape,
                "declared": size_text(self.sizes),
                "swapped": self.swapped,
            },
        )

    def __str__(self) -> str:
        return (
            f"{self.key} would be {self.shape} as {self.canonical}, which is "
            f"declared {self.declared}"
        )


@dataclass
class Findings:
    """What a layout found in a state dict besides the tensors that its rows map.

    ``dropped``: the reason for each dropped key.
    ``made``: for each tensor that a layout does not store and that was made, what it is.
    ``padded``: the keys that got elements which are in no file.
    ``tied``: for each name that was added or left out as tied, the tensor that it is tied to.
    ``untaken``: the keys that no row takes, which stay as they are.
    ``idle``: the rows that found no key.
    ``square``: the keys whose orientation is known from the layout only, as the shape is square.
    ``rounded``: the keys whose values are computed anew.
    ``misfits``: the shapes that are not as declared.
    ``gap``: which layer or expert is missing between others, or "".
    ``contradicted``: what the configuration or the metadata says and the tensors do not.
    ``hints``: what whoever reads the result has to do.
    """

    dropped: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    padded: list[str] = field(default_factory=list)
    tied: dict[str, str] = field(default_factory=dict)
    untaken: list[str] = field(default_factory=list)
    idle: list[Row] = field(default_factory=list)
    square: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)
    gap: str = ""
    contradicted: list[str] = field(default_factory=list)
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
        if self.gap:
            faults.append(self.gap)
        return "; ".join([*faults, *self.contradicted[:3]])

    def groups(self) -> list[SheetGroup]:
        """Return the findings as groups of a sheet."""
        return [
            SheetGroup("in the file, not in the layout", list(map(SheetRow, self.untaken))),
            SheetGroup("in the layout, not in the file", list(map(_idle_row, self.idle))),
            SheetGroup(
                "of another shape than the layout declares",
                [each.in_sheet() for each in self.misfits],
            ),
            SheetGroup(
                "in the configuration, not so in the file",
                list(map(SheetRow, self.contradicted)),
            ),
            SheetGroup("missing between others", [SheetRow(self.gap)] if self.gap else []),
            SheetGroup("treated as the layout says", [*self._treated()]),
        ]

    def faults(self) -> list[str]:
        """Return how many keys or rows each kind of fault has."""
        *groups, _ = self.groups()
        return [f"{len(group.rows):,} {group.title}" for group in groups if group.rows]

    def notes(self) -> list[str]:
        """Return what is not a fault: keys dropped, tied, transposed unconfirmed, or rounded."""
        return [": ".join(line) for line in self.groups()[-1].lines()]

    def _treated(self) -> Iterator[SheetRow]:
        for key, reason in self.dropped.items():
            yield SheetRow(key, f"dropped, {reason}")
        for key, what in self.made.items():
            yield SheetRow(key, f"made, {what}")
        for key in self.padded:
            yield SheetRow(key, "padded with elements that are in no file")
        for key, first in self.tied.items():
            yield SheetRow(key, f"tied to {first}")
        for key in self.square:
            yield SheetRow(
                key, "transposed as the layout says, which a square shape cannot confirm"
            )
        for key in self.rounded:
            yield SheetRow(key, "computed anew by the layout, which may round the last digits")


def _idle_row(row: Row) -> SheetRow:
    return SheetRow(" and ".join(row.names), data=lambda: {"row": str(row)})

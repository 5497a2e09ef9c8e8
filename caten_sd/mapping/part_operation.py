"""The operation of a row of a bundle: that of a part, with the numbers of the part."""

from __future__ import annotations

from dataclasses import dataclass

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup
from caten_sd.mapping.operations import Labels, Operand, Operation


@dataclass(frozen=True)
class OfPart(Operation):
    """An operation whose named sizes are those of a part, or where it has none, of every part."""

    operation: Operation
    word: str

    def inverse(self) -> Operation:
        """Return the inverse with the numbers of the same part."""
        return OfPart(self.operation.inverse(), self.word)

    def bind(self, lookup: Lookup) -> Operation:
        """Return the operation itself, with numbers."""

        def find(name: str) -> int:
            try:
                return lookup(f"{self.word}_{name}")
            except LayoutError:
                return lookup(name)

        return self.operation.bind(find)

    @property
    def tolerance(self) -> float:
        """That of the operation."""
        return self.operation.tolerance

    def labels(self, labels: Labels) -> Labels:
        """Return the labels that the operation gives."""
        return self.operation.labels(labels)

    def apply(self, operand: Operand) -> Operand:
        """Return what the operation gives."""
        return self.operation.apply(operand)

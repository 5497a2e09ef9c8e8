"""The running statistics of a batch norm that are still to be corrected by a count of batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from caten_sd.errors import LayoutError
from caten_sd.mapping.layer_operations import CountedOperation
from caten_sd.state.derived import derive
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.value_steps import Times


@dataclass(frozen=True)
class ZeroDebias(CountedOperation):
    """A running mean and variance with the count of batches that their weights still lack.

    They are to be divided by 1 - momentum ** count; a count of 0 means that they are not.
    """

    said: ClassVar[tuple[str, str]] = (
        "a count of 0 batches is filled in",
        "running statistics are divided by 1 - momentum ** count, unless the count is 0",
    )

    momentum: float | None = 0.99

    @property
    def counts(self) -> tuple[int, int]:
        """Two tensors become three."""
        return 2, 3

    def done(self, leaves: Sequence[Any]) -> list[Any]:
        """Return both with a count of 0."""
        import numpy as np

        return [*leaves, np.zeros((), np.int32)]

    def undone(self, leaves: Sequence[Any]) -> list[Any]:
        """Return both divided by what their weights amount to."""
        *moments, counter = leaves
        if not spec(counter).has_values:
            return moments
        count = _count_of_batches(as_array(Numpy(), counter))
        if count and self.momentum is None:
            raise LayoutError(
                f"the running statistics have counted {count} batches, and only the model has the "
                f"momentum that they are to be corrected by: give the model in place of its file"
            )
        if count and self.momentum is not None and self.momentum >= 1.0:
            raise LayoutError(
                f"no batch has weight in running statistics of the momentum {self.momentum:g}, so "
                f"{count} batches give none; build the model with a momentum below 1"
            )
        lacking = self.momentum**count if count and self.momentum else 0.0
        return [derive(Times(1.0 - lacking, True), [each]) if lacking else each for each in moments]


def _count_of_batches(array: Any) -> int:
    """Return the single element of an array; LayoutError if it is not a count."""
    if array.shape or array.dtype.kind not in "iu" or array < 0:
        found = f"of shape {list(array.shape)}" if array.shape else f"{array.item()!r:.40}"
        raise LayoutError(
            f"the count of batches is {found} in {array.dtype.name}, and has to be one integer "
            f"from 0; set it to 0 if the running statistics need no correction"
        )
    return int(array)

"""What two tensors of different shapes have to do with each other, and whether it is padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from caten_sd.loading.vocabulary_rows import is_of_tokens, padded_to
from caten_sd.proof.axis_ends import longer_axis
from caten_sd.proof.likeness import Judged, Likeness, judged
from caten_sd.state.derived import sliced
from caten_sd.state.leaf import spec
from caten_sd.wording import counted


class OtherShape(NamedTuple):
    """Two tensors of which one is longer on one axis; ``rest`` compares what both have."""

    key: str
    axis: int
    lengths: tuple[int, int]
    rest: Judged

    @property
    def text(self) -> str:
        """Which axis differs, by how much, and how what both have is alike."""
        a, b = self.lengths
        name = "row" if self.axis == 0 else "column" if self.axis == 1 else f"of axis {self.axis}"
        more = counted(abs(b - a), f"more {name}")
        change = self.rest.change
        alike = f"changed, relative rms {change.relative_rms:.2g}" if change else ""
        if self.rest.likeness is not Likeness.CHANGED:
            alike = self.rest.likeness.value
        kept = counted(min(a, b), f"other {name} is", f"other {name}s are")
        return f"{more} in {'B' if b > a else 'A'}; the {kept} {alike}"


def other_shape(key: str, a: Any, b: Any) -> OtherShape | None:
    """Return how two tensors differ on one axis, with what both have compared, or None."""
    here, there = spec(a).shape, spec(b).shape
    longer = longer_axis(here, there)
    if longer is None or not longer.short:
        return None
    least = [min(sizes) for sizes in zip(here, there, strict=True)]
    box = tuple(slice(0, size) for size in least)
    rest = judged(sliced(a, box), sliced(b, box))
    return OtherShape(key, longer.axis, (here[longer.axis], there[longer.axis]), rest)


def is_padding(one: OtherShape, others: Sequence[OtherShape]) -> bool:
    """Return whether rows were added to round a vocabulary up, which an embedding shows."""
    alike = [each.key for each in others if each.lengths == one.lengths and each.axis == 0]
    return one.axis == 0 and is_of_tokens(alike) and padded_to(*one.lengths) > 0

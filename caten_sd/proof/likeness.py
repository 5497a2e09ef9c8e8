"""How two leaves of one shape are alike: their bytes first, their values where those differ."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from caten_sd.errors import CatenError, NoApplicableMethodError
from caten_sd.errors.printable import one_line
from caten_sd.proof.diff_pieces import tally_of
from caten_sd.proof.diff_rounding import rounding_between
from caten_sd.proof.diff_tally import Change, Tally
from caten_sd.proof.stored_tallies import StoredPair, stored_tallies
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.compare import same_bytes
from caten_sd.state.leaf import spec


class Likeness(Enum):
    """What a tensor of A and one of B have to do with each other."""

    CHANGED = "changed"
    SHAPE = "of another shape"
    ONLY_A = "only in A"
    ONLY_B = "only in B"
    TURNED = "turned"
    MOVED = "moved"
    ROUNDED = "equal within the rounding"
    UNKNOWN = "not compared"
    VALUES = "the same values, other bytes"
    BYTES = "the same bytes"

    @property
    def is_same(self) -> bool:
        """Whether no value differs."""
        return self in (Likeness.BYTES, Likeness.VALUES)


class Judged(NamedTuple):
    """How two leaves are alike, how far apart, and the sums of the squares of their values.

    ``reason`` is why values whose bytes differ are not compared, or "".
    """

    likeness: Likeness
    change: Change | None = None
    squares: tuple[float, float] = (0.0, 0.0)
    reason: str = ""


def judged(a: Any, b: Any) -> Judged:
    """Return how two leaves of one shape are alike; values are read only where bytes differ.

    >>> import numpy
    >>> a = numpy.array([1.0, 2.0], "f4")
    >>> judged(a, a.astype("f2")).likeness.value, judged(a, a + 1).change.rms
    ('the same values, other bytes', 1.0)
    """
    return judged_together([(a, b)])[0]


def judged_together(pairs: Sequence[tuple[Any, Any]], *, quick: bool = False) -> list[Judged]:
    """Return how the leaves of each pair are alike; two threads share what is in files.

    ``quick`` leaves out the figures that say no more than the others.
    """
    found: dict[int, Judged] = {}
    stored: dict[int, StoredPair] = {}
    for n, (a, b) in enumerate(pairs):
        known = _without_values(a, b)
        if known is not None:
            found[n] = known
        elif StoredPair.can_be(a, b):
            stored[n] = StoredPair(a, b, rounding_between(a.dtype, b.dtype))
        else:
            found[n] = _by_values(a, b, quick=quick)
    tallies = stored_tallies(list(stored.values()), quick=quick)
    found.update((n, _told_by(tally)) for n, tally in zip(stored, tallies, strict=True))
    return [found[n] for n in range(len(pairs))]


def _without_values(a: Any, b: Any) -> Judged | None:
    """Return what the bytes and the dtypes of two leaves tell, or None if they do not."""
    here, there = spec(a), spec(b)
    types = [each.block_type for each in (a, b) if isinstance(each, BlockTensor)]
    # Types that are not equal may have scales of their own, which are not among the bytes.
    is_plain = len(types) != 1 and types[:1] == types[1:]
    if is_plain and here.dtype == there.dtype and same_bytes(a, b):
        return Judged(Likeness.BYTES)
    for each in (here.dtype, there.dtype):
        if each.kind == "other":
            return Judged(Likeness.UNKNOWN, reason=f"values of dtype {each} are not compared")
    return None


def _by_values(a: Any, b: Any, *, quick: bool) -> Judged:
    try:
        rounding = rounding_between(spec(a).dtype, spec(b).dtype)
        return _told_by(tally_of(a, b, rounding, quick=quick))
    except CatenError as error:
        if type(error) not in (CatenError, NoApplicableMethodError):  # of the file, say
            raise
        return Judged(Likeness.UNKNOWN, reason=one_line(str(error)))


def _told_by(tally: Tally) -> Judged:
    if not tally.is_changed:
        return Judged(Likeness.VALUES)
    likeness = Likeness.ROUNDED if tally.is_within else Likeness.CHANGED
    return Judged(likeness, tally.result(), (tally.squares_a, tally.squares_b))

"""The row that a diff has for each tensor, and the texts of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from caten_sd.proof.diff_tally import Change
from caten_sd.proof.likeness import Judged, Likeness
from caten_sd.state.leaf import spec
from caten_sd.wording import counted, first_few


class DiffRow(NamedTuple):
    """What became of a tensor: its names in A and in B, how both are alike, and how far apart."""

    key: str
    likeness: Likeness
    a: tuple[str, ...]
    b: tuple[str, ...]
    detail: str = ""
    change: Change | None = None

    @property
    def relative(self) -> float:
        """How far apart both are: the relative rms, and infinite if only one has an infinity."""
        if self.change is None:
            return 0.0
        apart = self.change.nan_a or self.change.nan_b or math.isinf(self.change.largest)
        return math.inf if apart else self.change.relative_rms

    def text(self) -> str:
        """Return all that is known of the row."""
        return "; ".join(filter(None, [self.detail, *(_figures(self.change))]))

    def data(self) -> dict[str, Any]:
        """Return all that is known of the row, for programs."""
        known = {"a": list(self.a), "b": list(self.b), "detail": self.detail}
        return known | (self.change._asdict() if self.change else {})


def row_of(key: str, a: Any, b: Any, found: Judged) -> DiffRow:
    """Return the row of two leaves of one name."""
    names = [spec(leaf).dtype.name for leaf in (a, b)]
    detail = "" if names[0] == names[1] else " -> ".join(names)
    if found.reason:
        detail = f"the bytes differ: {found.reason}"
    return DiffRow(key, found.likeness, (key,), (key,), detail, found.change)


def summary_of(rows: Sequence[DiffRow]) -> str:
    """Return what is known of rows of one pattern in a few words: ranges, and which is worst."""
    if len(rows) == 1:
        return rows[0].text()
    details = list(dict.fromkeys(row.detail for row in rows if row.detail))
    parts = [" or ".join(details) if len(details) < 3 else f"{details[0]} and others"]
    changes = [row.change for row in rows if row.change]
    if changes:
        parts += _ranges(rows, changes)
    return "; ".join(filter(None, parts))


def _figures(change: Change | None) -> list[str]:
    if change is None:
        return []
    share = _share([change])
    mean = "" if change.mean is None else f"mean {change.mean:.2g}, "
    parts = [
        f"relative rms {change.relative_rms:.2g}",
        f"largest {change.largest:.2g}, {mean}cosine {_cosine(change.cosine)}",
    ]
    parts += [f"{_percent(share)} of {counted(change.elements, 'element')}"] * (share < 0.995)
    return parts + _nans(change.nan_a, change.nan_b)


def _share(changes: Sequence[Change]) -> float:
    """Return which share of the elements changed, and all where that is not known of each."""
    known = [each.changed for each in changes if each.changed is not None]
    if len(known) < len(changes):
        return 1.0
    return sum(known) / max(sum(each.elements for each in changes), 1)


def _ranges(rows: Sequence[DiffRow], changes: Sequence[Change]) -> list[str]:
    relative = sorted(each.relative_rms for each in changes)
    low, high = f"{relative[0]:.2g}", f"{relative[-1]:.2g}"
    text = f"relative rms {low}" if low == high else f"relative rms {low} to {high}"
    if relative[-1] > 10 * relative[len(relative) // 2]:
        worst = next(row for row in rows if row.change and row.change.relative_rms == relative[-1])
        text += f" in {worst.key}, most at {relative[len(relative) // 2]:.2g}"
    largest = max(each.largest for each in changes)
    cosine = min(each.cosine for each in changes)
    share = _share(changes)
    parts = [text, f"largest {largest:.2g}, cosine {_cosine(cosine)}"]
    parts += [f"{_percent(share)} of the elements"] * (share < 0.995)
    nans = _nans(sum(c.nan_a for c in changes), sum(c.nan_b for c in changes))
    keys = [row.key for row in rows if row.change and (row.change.nan_a or row.change.nan_b)]
    return [*parts, *nans, *([f"in {first_few(keys, 1)}"] if nans else [])]


def _nans(here: int, there: int) -> list[str]:
    return [
        f"NaN in {counted(count, 'element')} of {side} only"
        for side, count in (("A", here), ("B", there))
        if count
    ]


def _cosine(cosine: float) -> str:
    """Return a cosine with as many digits as it takes to be apart from 1, up to 6.

    >>> _cosine(0.51234), _cosine(0.9999951), _cosine(0.99999999)
    ('0.51', '0.999995', '1')
    """
    if abs(cosine) > 1 - 5e-7:
        return f"{cosine:.0f}"
    digits = 2
    while digits < 6 and abs(cosine) > 1 - 2 * 10.0**-digits:
        digits += 1
    return f"{cosine:.{digits}f}".replace("-0.00", "0.00")


def _percent(share: float) -> str:
    """Return a share as a percentage that is never rounded to nothing.

    >>> _percent(0.25), _percent(0.000001)
    ('25%', '0.0001%')
    """
    return f"{100 * share:.2g}%"

"""Compare the tensors of one name, and say which may belong to a tensor of another name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caten_sd.proof.diff_rows import DiffRow, row_of
from caten_sd.proof.diff_shapes import OtherShape, is_padding, other_shape
from caten_sd.proof.likeness import Judged, Likeness, judged_together
from caten_sd.state.leaf import DENSE, Opaque, Spec, spec_or_none

_LEAST = 16  # elements: fewer may be those of another tensor, or in another order, by chance
_UNLIKE = 0.5  # a relative rms above which two tensors of one name may not belong together


@dataclass
class Met:
    """The rows of what met by name, and the keys whose tensors may belong to others instead.

    ``squares`` has the sums of the squares of both tensors of a key that changed, and ``unlike``
    the keys of which hardly anything is alike. ``quick`` says that some figures are left out.
    """

    quick: bool = False
    rows: dict[str, DiffRow] = field(default_factory=dict)
    squares: dict[str, tuple[float, float]] = field(default_factory=dict)
    unlike: set[str] = field(default_factory=set)
    reshaped: list[str] = field(default_factory=list)


def met_by_name(a: Mapping[str, Any], b: Mapping[str, Any], *, quick: bool = False) -> Met:
    """Compare the leaves of each key that both have; ``quick`` is that of a diff."""
    met = Met(quick)
    longer: list[OtherShape] = []
    alike = [key for key in a if key in b and _meet(met, longer, key, a[key], b[key])]
    judged = judged_together([(a[key], b[key]) for key in alike], quick=quick)
    for key, found in zip(alike, judged, strict=True):
        _meet_alike(met, key, a[key], b[key], found)
    for each in longer:
        padded = "; this looks like a vocabulary that was padded" * is_padding(each, longer)
        met.rows[each.key] = _shaped(each.key, each.text + padded)
    met.rows = {key: met.rows[key] for key in a if key in met.rows}
    return met


def _meet(met: Met, longer: list[OtherShape], key: str, a: Any, b: Any) -> bool:
    """Add the row of two leaves of one name, or return that their values tell it."""
    here, there = spec_or_none(a), spec_or_none(b)
    if here is None or there is None:
        likeness = Likeness.BYTES if is_same_value(a, b) else Likeness.CHANGED
        text = "not a tensor" if likeness.is_same else "not a tensor, another value"
        met.rows[key] = DiffRow(key, likeness, (key,), (key,), text)
    elif reason := _cannot_compare(here, there):
        met.rows[key] = DiffRow(key, Likeness.UNKNOWN, (key,), (key,), reason)
    elif here.shape == there.shape:
        return True
    elif (found := other_shape(key, a, b)) is not None:
        longer.append(found)
    else:
        met.rows[key] = _shaped(key, f"{list(here.shape)} in A, {list(there.shape)} in B")
        if math.prod(here.shape) == math.prod(there.shape) > 0:
            met.reshaped.append(key)
    return False


def _meet_alike(met: Met, key: str, a: Any, b: Any, found: Judged) -> None:
    """Add the row of two leaves of one shape."""
    met.rows[key] = row_of(key, a, b, found)
    change = found.change if found.likeness is Likeness.CHANGED else None
    if change is not None and change.elements >= _LEAST:
        met.squares[key] = found.squares
        if change.relative_rms > _UNLIKE:
            met.unlike.add(key)


def _cannot_compare(here: Spec, there: Spec) -> str:
    """Return why two tensors cannot be compared, or ""."""
    empty = [side for side, each in (("A", here), ("B", there)) if not each.has_values]
    if empty:
        return f"no values in {' and '.join(empty)}"
    if "|O" in (here.dtype.name, there.dtype.name):
        return "an array of Python objects"
    forms = [each.form for each in (here, there) if each.form != DENSE]
    return f"a {forms[0]} tensor" if forms else ""


def _shaped(key: str, text: str) -> DiffRow:
    return DiffRow(key, Likeness.SHAPE, (key,), (key,), text)


def is_same_value(a: Any, b: Any) -> bool:
    """Return whether two values that are not tensors are equal.

    >>> is_same_value(Opaque("a.B", (1,)), Opaque("a.B", (1,))), is_same_value(1, True)
    (True, False)
    """
    waiting = [(a, b)]
    seen: dict[tuple[int, int], tuple[Any, Any]] = {}  # a value may hold itself, or one many times
    while waiting:
        both = waiting.pop()
        if seen.setdefault((id(both[0]), id(both[1])), both) is both:
            held = _held(*both)
            if held is None:
                return False
            waiting += held
    return True


def _held(a: Any, b: Any) -> list[tuple[Any, Any]] | None:
    """Return what two values hold, side by side, or None if they differ themselves."""
    if type(a) is not type(b):
        return None
    if isinstance(a, Opaque):
        return [(a.name, b.name), (a.args, b.args), (a.state, b.state)]
    if isinstance(a, (list, tuple)):
        return list(zip(a, b, strict=True)) if len(a) == len(b) else None
    if isinstance(a, Mapping):
        return [(a[key], b[key]) for key in a] if a.keys() == b.keys() else None
    return [] if _is_equal(a, b) else None


def _is_equal(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except Exception:  # of a class of somebody else, which may compare as it likes
        return False

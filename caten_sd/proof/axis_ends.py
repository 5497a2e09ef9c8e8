"""Tensors of which one has more at the end or the start of an axis: cut off, or padded."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from caten_sd.mapping.axis_lengths import Pad, Trim
from caten_sd.mapping.operations import Operation
from caten_sd.proof.fingerprints import bits_of, native
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.operation_search import Between
from caten_sd.proof.pairing import Pairing
from caten_sd.proof.weights import Bearer, SameValues, Weights
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Spec

_MOST = 10_000  # pairs of tensors that are looked at
_LEAST = 8  # elements that both have: fewer may be alike by chance

Shape = tuple[int, ...]
RestOfShape = tuple[DType, int, Shape]  # of a tensor but for one axis, and which it is


class LongerAxis(NamedTuple):
    """The axis of two shapes that are alike but for it, and its lengths, the shorter one first."""

    axis: int
    short: int
    long: int


class EndCut(NamedTuple):
    """What two tensors differ by, and what the longer one has besides, if it is not one value."""

    operation: Operation
    lost: str


def pair_by_ends(
    found: Pairing, a: Weights, b: Weights, names: NamedSizes
) -> tuple[list[Between], dict[str, str]]:
    """Add the pairs that are left and differ by an end of an axis, and return their operations.

    With them comes what is cut off tensors of A, by their keys, where it is not one value.
    """
    done: list[Between] = []
    lost: dict[str, str] = {}
    for one, other in list(itertools.islice(_alike(found, a, b), _MOST)):
        if one not in found.a or other not in found.b:
            continue
        cut = _cut(a, one, b, other, names)
        if cut is None:
            continue
        match = SameValues((Bearer((one,)),), (Bearer((other,)),), a.specs[one].dtype.name)
        found.add(match)
        done.append(Between(match, cut.operation))
        if cut.lost:
            lost[one] = cut.lost
    return done, lost


def _alike(found: Pairing, a: Weights, b: Weights) -> Iterator[tuple[str, str]]:
    """Yield the tensors that are left and alike but for the length of one axis."""
    known: dict[RestOfShape, dict[int, list[tuple[int, str]]]] = {}
    for place, other in enumerate(found.b):
        if b.prints[other].elements >= _LEAST:
            for rest, length in _rests(b.specs[other]):
                known.setdefault(rest, {}).setdefault(length, []).append((place, other))
    for one in found.a if known else ():
        if a.prints[one].elements >= _LEAST:
            others = [
                each
                for rest, length in _rests(a.specs[one])
                for another, each in known.get(rest, {}).items()
                if another != length
            ]
            yield from ((one, other) for _, other in heapq.merge(*others))


def _rests(spec: Spec) -> Iterator[tuple[RestOfShape, int]]:
    """Yield what a tensor of floats is but for the length of an axis, and that length."""
    for axis, length in enumerate(spec.shape if spec.dtype.kind == "float" else ()):
        yield (spec.dtype, axis, (*spec.shape[:axis], *spec.shape[axis + 1 :])), length


def longer_axis(here: Shape, there: Shape) -> LongerAxis | None:
    """Return the axis in which two shapes differ, if it is one.

    >>> longer_axis((12, 8), (10, 8)), longer_axis((12, 8), (10, 6))
    (LongerAxis(axis=0, short=10, long=12), None)
    """
    if len(here) != len(there):
        return None
    differing = [n for n, (one, other) in enumerate(zip(here, there, strict=True)) if one != other]
    if len(differing) != 1:
        return None
    (axis,) = differing
    return LongerAxis(axis, *sorted((here[axis], there[axis])))


def _cut(a: Weights, one: str, b: Weights, other: str, names: NamedSizes) -> EndCut | None:
    """Return what one tensor is of the other, or None if neither is an end of the other."""
    longer = longer_axis(a.specs[one].shape, b.specs[other].shape)
    if longer is None or a.prints[one].is_constant or b.prints[other].is_constant:
        return None
    is_cut = a.specs[one].shape[longer.axis] == longer.long
    here, there = _values(a, one), _values(b, other)
    long, short = (here, there) if is_cut else (there, here)
    by = longer.long - longer.short
    for at, both, rest in (
        ("end", slice(longer.short), slice(longer.short, None)),
        ("start", slice(by, None), slice(by)),
    ):
        bits = [bits_of(each, each.dtype.name) for each in (_along(long, longer, both), short)]
        if (bits[0] != bits[1]).any():
            continue
        ends = _along(long, longer, rest)
        is_constant = bool((ends == ends.flat[0]).all())
        if is_constant or is_cut:
            kind = Trim if is_cut else Pad
            value = float(ends.flat[0]) if is_constant else 0.0
            operation = kind(longer.axis, **_lengths(longer, names), at=at, value=value)
            lost = f"{by} of {longer.long} places at the {at} of axis {longer.axis} are not in B"
            return EndCut(operation, "" if is_constant else lost)
    return None


def _along(array: Any, longer: LongerAxis, places: slice) -> Any:
    import numpy as np

    return np.ascontiguousarray(array[(*[slice(None)] * longer.axis, places)])


def _values(weights: Weights, key: str) -> Any:
    import numpy as np

    return np.ascontiguousarray(native(weights.leaves[key]))


def _lengths(longer: LongerAxis, names: NamedSizes) -> dict[str, Any]:
    """Return both lengths if they have names, or else the difference."""
    size, to = names.size(longer.short), names.size(longer.long)
    if isinstance(size, str) and isinstance(to, str):
        return {"size": size, "to": to}
    return {"count": longer.long - longer.short}

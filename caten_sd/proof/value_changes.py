"""Tensors whose values differ by a formula: a number added, a factor, -exp(x), and back."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from caten_sd.mapping.operations import Chain, Identity, NegExp, Offset, Operation, Scale
from caten_sd.proof.arrangement import arrangement
from caten_sd.proof.fingerprints import level_of, levels_of, native
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.operation_search import Between
from caten_sd.proof.pairing import Pairing
from caten_sd.proof.sketches import sketches
from caten_sd.proof.strided_views import boundaries, strided_view, within
from caten_sd.proof.weights import Bearer, SameValues, Weights

_STEP = 0.25  # an offset is a multiple of it: no model adds another number to its weights
_ROUNDING = {"float64": 1e-14, "float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}

_LARGEST = 1e30  # a factor; a larger one is none of a model, and float32 does not hold it
_MOST = 256  # tensors that one is compared with: more that are so alike cannot be told apart
_RUN = 1_024  # tensors whose neighbors are known at a time
_MOST_IN_ALL = 100_000  # pairs of tensors of one size

Pair = tuple[str, str, Operation]


def pair_by_formula(found: Pairing, a: Weights, b: Weights, names: NamedSizes) -> list[Between]:
    """Add the pairs that are left and differ by one formula, and return their operations."""
    done = []
    for one, other, operation in list(_only(_candidates(found, a, b))):
        order = _order(a, one, b, other, operation, names)
        if order is None:
            continue
        both = operation if isinstance(order, Identity) else Chain(operation, order)
        match = SameValues((Bearer((one,)),), (Bearer((other,)),), _level(a, one, b, other))
        found.add(match)
        done.append(Between(match, both))
    return done


def _only(pairs: Iterator[Pair]) -> list[Pair]:
    """Return the pairs of which neither tensor is in another pair."""
    known = list(pairs)
    here = Counter(one for one, _, _ in known)
    there = Counter(other for _, other, _ in known)
    return [pair for pair in known if here[pair[0]] == there[pair[1]] == 1]


def _level(a: Weights, one: str, b: Weights, other: str) -> str:
    """Return the dtype in which two tensors can be compared."""
    here, there = a.specs[one].dtype, b.specs[other].dtype
    levels = levels_of(here, {level_of(there)})
    return levels[-1] if level_of(there) in levels else level_of(here)


def _candidates(found: Pairing, a: Weights, b: Weights) -> Iterator[Pair]:
    """Yield the pairs of which one sketch is a formula of the other."""
    for (ones, left), (others, right) in sketches(a, found.a, b, found.b):
        levels = {level_of(w.specs[k].dtype) for w, keys in ((a, ones), (b, others)) for k in keys}
        widest = max(_ROUNDING.get(level, 1e-1) for level in levels)
        for n, m in itertools.islice(_alike(left, right, widest), _MOST_IN_ALL):
            rounding = _ROUNDING.get(_level(a, ones[n], b, others[m]), 1e-1)
            rows = left[n].astype("float64"), right[m].astype("float64")
            operation = _formula(*rows, rounding)
            if operation is not None:
                yield ones[n], others[m], operation


def _alike(left: Any, right: Any, rounding: float) -> Iterator[tuple[int, int]]:
    """Yield the rows of two sets of sketches that may be a formula of each other.

    Of each formula there is a number that it leaves as it is, so only its neighbors are compared.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        ends = [
            (each[:, 0].astype(np.float64), each[:, -1].astype(np.float64))
            for each in (left, right)
        ]
        (least, most), (other_least, other_most) = ends
        shape, other_shape = _shape(left), _shape(right)
        numbers = [
            (most - least, other_most - other_least),
            (shape, other_shape),
            (-shape, other_shape),
            (-np.exp(least), other_most),
            (least, -np.exp(other_most)),
        ]
    near = [_Near(one, other, rounding) for one, other in numbers]
    for start in range(0, len(left), _RUN):
        found = {pair for each in near for pair in each.pairs(start, start + _RUN)}
        yield from sorted(found)


class _Near:
    """Which of some numbers are near each of others, within a rounding; none if there are many."""

    def __init__(self, one: Any, other: Any, rounding: float) -> None:
        import numpy as np

        self._order = np.argsort(other, kind="stable")
        room = rounding * np.maximum(1.0, np.abs(one))
        ordered = other[self._order]
        self._starts = np.searchsorted(ordered, one - room)
        self._ends = np.searchsorted(ordered, one + room, side="right")

    def pairs(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the places of the pairs whose first is within a range."""
        both = self._starts[start:end].tolist(), self._ends[start:end].tolist()
        for n, (first, last) in enumerate(zip(*both, strict=True), start):
            if first < last <= first + _MOST:
                yield from ((n, int(m)) for m in self._order[first:last])


def _shape(rows: Any) -> Any:
    """Return a number of each sketch that a factor above 0 leaves as it is."""
    import numpy as np

    size = np.maximum(np.abs(rows[:, 0]), np.abs(rows[:, -1])).astype(np.float64)
    return rows.sum(axis=1, dtype=np.float64) / np.maximum(size, 1e-300)


def _formula(before: Any, after: Any, rounding: float) -> Operation | None:
    """Return the formula that makes one sketch of another, within its rounding."""
    import numpy as np

    room = rounding * np.maximum(1.0, np.abs(after))
    by = round(float(np.median(after - before)) / _STEP) * _STEP
    if by and (np.abs(before + by - after) <= room).all():
        return Offset(by)
    with np.errstate(all="ignore"):
        if (before < 80).all() and (np.abs(-np.exp(before[::-1]) - after) <= room).all():
            return NegExp()
        if (before < 0).all() and (np.abs(np.log(-before[::-1]) - after) <= room).all():
            return NegExp(undo=True)
    return _factor(before, after, rounding)


def _factor(before: Any, after: Any, rounding: float) -> Operation | None:
    """Return the factor that makes one sketch of another: a short number, or one over it."""
    import numpy as np

    size = float(np.abs(before).max())
    if not np.isfinite(size) or not size or not np.isfinite(after).all():
        return None
    for rows in (before, -before[::-1]):
        by = float(after @ rows / (rows @ rows))
        sign = 1.0 if rows is before else -1.0
        near = float(np.abs(after).max())
        if not 1 / _LARGEST < by < _LARGEST or (np.abs(rows * by - after) > rounding * near).any():
            continue
        texts = [f"{by:.6g}", f"{1 / by:.6g}"]
        undo = len(texts[1]) < len(texts[0]) - 2
        number = float(texts[undo])
        if number != 1 and abs(number / (1 / by if undo else by) - 1) < rounding:
            return Scale(sign * number, undo=undo)
        if sign < 0:
            return Scale(-1.0)
    return None


def _order(
    a: Weights, one: str, b: Weights, other: str, operation: Operation, names: NamedSizes
) -> Operation | None:
    """Return the order that the elements have after the formula, or None if there is none."""
    import numpy as np

    made = native(operation.apply({(): a.leaves[one]})[()]).astype(np.float64)
    wanted = native(b.leaves[other]).astype(np.float64)
    rounding = _ROUNDING.get(_level(a, one, b, other), 1e-1)
    room = 2 * rounding * np.maximum(1.0, np.abs(wanted))
    if made.shape == wanted.shape and (np.abs(made - wanted) <= room).all():
        return Identity()
    whole, part = (_ranks(array.reshape(-1)) for array in (made, wanted))
    view = strided_view(whole, part, boundaries(made.shape), first=True)
    levels = view and within(view, made.shape, wanted.shape)
    return arrangement(made.shape, wanted.shape, levels, names) if levels is not None else None


def _ranks(array: Any) -> Any:
    """Return the place of each element among the sorted ones, which rounding leaves as it is."""
    import numpy as np

    ranks = np.empty(len(array), np.int64)
    ranks[np.argsort(array, kind="stable")] = np.arange(len(array))
    return ranks

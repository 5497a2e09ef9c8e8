"""Tensors joined or stacked and then quantized or trained: near a part of another one each.

The longer tensor is taken apart from its start: the tensor that is by far the nearest to what comes
next is the next part.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from caten_sd.mapping.assembly import Concat, Stack
from caten_sd.mapping.operations import Identity, Operation, Transpose
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.near_values import (
    FARTHEST,
    LEAST,
    float_values,
    is_nearest_by_far,
    normed,
    sample,
)
from caten_sd.proof.operation_search import STACKED, Between, chained
from caten_sd.proof.pairing import Pairing
from caten_sd.proof.weights import Bearer, SameValues, Weights, stacks

_MOST = 2_000  # tensors of one shape that may be parts
_MOST_PARTS = 8  # that are joined along an axis
_MOST_WHOLES = 2_000  # tensors that are taken apart

Shape = tuple[int, ...]


class Samples(NamedTuple):
    """Tensors of one shape by their keys, and some of the values of each in a row."""

    keys: list[str]
    rows: Any


class JoinedNear(NamedTuple):
    """The parts of a tensor, in order, the operation that joins them, and how far it is apart."""

    parts: tuple[Bearer, ...]
    operation: Operation
    apart: float


def pair_near_joins(found: Pairing, a: Weights, b: Weights, names: NamedSizes) -> list[Between]:
    """Add the tensors that are left and near others joined, and return their operations."""
    done = []
    for many, left, one, others, turned in (
        (a, found.a, b, found.b, 0),
        (b, found.b, a, found.a, 1),
    ):
        search = _PartSearch(many, left)
        wholes = [key for key in others if search.may_hold(one.specs[key].shape, one, key)]
        for key in wholes[:_MOST_WHOLES]:
            joined = search.of(float_values(one.leaves[key]), names)
            keys = [] if joined is None else [k for bearer in joined.parts for k in bearer.keys]
            if joined is None or not all(k in left for k in keys):
                continue
            match = SameValues(joined.parts, (Bearer((key,)),), "float32", "values that are near")
            found.add(match.turned() if turned else match)
            operation = joined.operation.inverse() if turned else joined.operation
            done.append(Between(match.turned() if turned else match, operation, joined.apart))
    return done


class _PartSearch:
    """A search for the parts of tensors, among those of one side that are left."""

    def __init__(self, weights: Weights, left: dict[str, None]) -> None:
        self._weights, self._left = weights, left
        self._by_shape: dict[Shape, list[str]] = {}
        for keys in weights.by_count(left, LEAST).values():
            for key in keys:
                self._by_shape.setdefault(weights.specs[key].shape, []).append(key)
        self._samples: dict[Shape, Samples] = {}

    @functools.cached_property
    def _stacks(self) -> dict[tuple[str, ...], Bearer]:
        """The stacks of those that are left, by their keys."""
        return {bearer.keys: bearer for bearer in stacks(self._left)}

    def may_hold(self, shape: Shape, weights: Weights, key: str) -> bool:
        """Return whether a tensor may be made of those that are left: of floats, and a matrix."""
        is_float = weights.specs[key].dtype.kind in ("float", "block")
        return bool(self._by_shape) and is_float and len(shape) in (2, 3) and 0 not in shape

    def of(self, whole: Any, names: NamedSizes) -> JoinedNear | None:
        """Return what a tensor is made of, if that is found as it is or with its axes turned."""
        turned = whole.swapaxes(-1, -2)
        axes = (*range(whole.ndim - 2), whole.ndim - 1, whole.ndim - 2)
        turn = Transpose() if whole.ndim == 2 else Transpose(axes)
        for array, last in ((whole, Identity()), (turned, turn)):
            for axis in (0, 1):
                found = self._joined(array, axis, last, names)
                if found is not None:
                    return found
        return None

    def _joined(
        self, whole: Any, axis: int, last: Operation, names: NamedSizes
    ) -> JoinedNear | None:
        layers = whole if whole.ndim == 3 else whole[None]
        rows = [self._parts(layer, axis) for layer in layers]
        if not all(rows) or len({len(row) for row in rows}) > 1:
            return None
        if whole.ndim == 2 and len(rows[0]) < 2:
            return None
        columns = [tuple(column) for column in zip(*rows, strict=True)]
        parts = [self._stacks.get(c) if whole.ndim == 3 else Bearer(c) for c in columns]
        known = tuple(part for part in parts if part is not None)
        if len(known) < len(parts) or len(set(known)) < len(known):
            return None
        lengths = [self._weights.specs[key].shape[axis] for key in rows[0]]
        steps: list[Operation] = [Stack(STACKED)] if whole.ndim == 3 else []
        if len(known) > 1:
            steps.append(Concat(names.shares(lengths), axis + whole.ndim - 2))
        apart = self._apart(layers, axis, rows)
        return JoinedNear(known, chained(*steps, last), apart) if apart <= FARTHEST else None

    def _parts(self, whole: Any, axis: int) -> list[str]:
        """Return the keys of the parts of a matrix along an axis; none if they are not all told."""
        found: list[str] = []
        start, end = 0, whole.shape[axis]
        while start < end and len(found) < _MOST_PARTS:
            key = self._next(whole, axis, start)
            if key is None:
                return []
            found.append(key)
            start += self._weights.specs[key].shape[axis]
        return found if start == end else []

    def _next(self, whole: Any, axis: int, start: int) -> str | None:
        """Return the key of the tensor that is by far the nearest to what begins at a place."""
        import numpy as np

        errors: list[float] = []
        keys: list[str] = []
        for shape in self._shapes(whole.shape, axis, whole.shape[axis] - start):
            piece = _along(whole, axis, start, shape[axis])
            own = normed(piece.reshape(1, -1)[:, sample(piece.size)])
            known = self._sampled(shape)
            errors += (2 - 2 * (known.rows @ own[0])).tolist()
            keys += known.keys
        if not errors:
            return None
        nearest = int(np.argmin(errors))
        rest = min((each for n, each in enumerate(errors) if n != nearest), default=4.0)
        return keys[nearest] if is_nearest_by_far(errors[nearest], rest) else None

    def _shapes(self, whole: Shape, axis: int, most: int) -> Iterator[Shape]:
        """Yield the shapes of what may come next."""
        for shape, keys in self._by_shape.items():
            fits = len(shape) == 2 and shape[1 - axis] == whole[1 - axis] and shape[axis] <= most
            if fits and len(keys) <= _MOST:
                yield shape

    def _sampled(self, shape: Shape) -> Samples:
        import numpy as np

        if shape not in self._samples:
            at = sample(math.prod(shape))
            keys = self._by_shape[shape]
            rows = [float_values(self._weights.leaves[key]).reshape(-1)[at] for key in keys]
            self._samples[shape] = Samples(keys, normed(np.array(rows)))
        return self._samples[shape]

    def _apart(self, layers: Any, axis: int, rows: Sequence[Sequence[str]]) -> float:
        """Return the root mean square of all differences, in spreads of the values."""
        import numpy as np

        total = 0.0
        with np.errstate(all="ignore"):  # what is not finite is not near
            for layer, keys in zip(layers, rows, strict=True):
                start = 0
                for key in keys:
                    part = float_values(self._weights.leaves[key])
                    gaps = np.subtract(part, _along(layer, axis, start, part.shape[axis]))
                    total += float(np.square(gaps.reshape(-1), dtype=np.float64).sum())
                    start += part.shape[axis]
            spread = float(layers.std(dtype=np.float64))
        return math.sqrt(total / layers.size) / max(spread, 1e-300)


def _along(array: Any, axis: int, start: int, count: int) -> Any:
    return array[(*[slice(None)] * axis, slice(start, start + count))]

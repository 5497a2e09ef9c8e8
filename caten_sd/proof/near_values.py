"""Tensors whose values are near, as after a quantization or some training, or "cannot say".

Elements at the same places of both, for each order that models have, are compared by their
correlation. A pair counts only where every other tensor and every other order is twice as far.
Quantiles of the sorted values would tell the pair, too, but not the order of the elements, and
those of two layers are often alike where the values at their places never are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.operations import Identity, Operation, Transpose
from caten_sd.proof.arrangement import arrangement
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.operation_search import Between
from caten_sd.proof.pairing import Pairing
from caten_sd.proof.strided_views import Level, View, within
from caten_sd.proof.weights import Bearer, SameValues, Weights
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.leaf import Numpy, as_array

FARTHEST = 0.35  # the error of a pair, in spreads of its values; of two tensors by chance it is 1.4
_ALIKE = 0.01  # the square of the error of two tensors that cannot be told apart
_SAMPLES = 512
LEAST = 32  # elements: fewer may be alike by chance
_MOST = 2_000  # tensors of one size on a side
_HEAD_SIZES = (16, 32, 48, 64, 80, 96, 128, 160, 192, 256)

Shape = tuple[int, ...]


class SampledOrder(NamedTuple):
    """An order of elements, and where those at the sampled places come from."""

    operation: Operation
    positions: Any


def pair_near(found: Pairing, a: Weights, b: Weights, names: NamedSizes) -> list[Between]:
    """Add the pairs of tensors that are left and near, and return their operations."""
    here, there = a.by_count(found.a, LEAST), b.by_count(found.b, LEAST)
    done = []
    for count in here.keys() & there.keys():
        if max(len(here[count]), len(there[count])) > _MOST:
            continue
        for one, other, operation in _nearest(a, here[count], b, there[count], names):
            made = names.bound(operation).apply({(): a.leaves[one]})[()]
            error = distance(made, b.leaves[other])
            if error <= FARTHEST:
                match = SameValues(
                    (Bearer((one,)),), (Bearer((other,)),), "float32", "values that are near"
                )
                found.add(match)
                done.append(Between(match, operation, error))
    return done


def distance(made: Any, wanted: Any) -> float:
    """Return the root mean square of the difference, in spreads of the values that are wanted.

    >>> import numpy
    >>> round(distance(numpy.array([1.0, 3.0]), numpy.array([1.0, 3.5])), 3)
    0.283
    """
    import numpy as np

    with np.errstate(all="ignore"):  # what is not finite is not near
        after = float_values(wanted)
        spread = float(after.std(dtype=np.float64))
        apart = np.subtract(float_values(made), after).reshape(-1)
        return float(np.sqrt(np.mean(np.square(apart), dtype=np.float64))) / max(spread, 1e-300)


def float_values(leaf: Any) -> Any:
    """Return the values of a leaf in float32."""
    import numpy as np

    with np.errstate(over="ignore"):
        return with_bytes_copied(as_array, Numpy(), leaf).astype(np.float32)


def _nearest(
    a: Weights, here: list[str], b: Weights, there: list[str], names: NamedSizes
) -> Iterator[tuple[str, str, Operation]]:
    """Yield the pairs that are nearest to each other by far, in one order by far."""
    import numpy as np

    shapes = [[w.specs[key].shape for key in keys] for w, keys in ((a, here), (b, there))]
    places = {
        both: _places(*both, names) for both in itertools.product(set(shapes[0]), set(shapes[1]))
    }
    most = max(1, *map(len, places.values()))
    errors = np.full((len(here), len(there), most), 2.0)
    sampled = sample(math.prod(shapes[0][0]))
    targets = {
        shape: [m for m, other in enumerate(shapes[1]) if other == shape] for shape in shapes[1]
    }
    values = normed(np.array([float_values(b.leaves[key]).reshape(-1)[sampled] for key in there]))
    for n, key in enumerate(here):
        array = float_values(a.leaves[key]).reshape(-1)
        for shape, rows in targets.items():
            if known := places[shapes[0][n], shape]:
                own = normed(np.array([array[place.positions] for place in known]))
                errors[n, rows, : len(known)] = 2 - 2 * values[rows] @ own.T
    for n, m in zip(*(errors.min(axis=2) <= FARTHEST**2).nonzero(), strict=True):
        k = int(errors[n, m].argmin())
        rest = errors[n, m].copy(), errors[n].min(axis=1), errors[:, m].min(axis=1)
        for row, at in zip(rest, (k, m, n), strict=True):
            row[at] = 4.0
        if is_nearest_by_far(float(errors[n, m, k]), min(float(row.min()) for row in rest)):
            yield here[n], there[m], places[shapes[0][n], shapes[1][m]][k].operation


def is_nearest_by_far(error: float, next_error: float) -> bool:
    """Return whether a squared error is small, and any other one is four times as large."""
    return error <= FARTHEST**2 and next_error >= max(4 * error, _ALIKE)


def sample(count: int) -> Any:
    """Return the places at which tensors of so many elements are compared."""
    import numpy as np

    if count <= _SAMPLES:
        return np.arange(count)
    return np.random.default_rng(count).integers(0, count, _SAMPLES)


def normed(values: Any) -> Any:
    """Return rows of values around 0, each of length 1."""
    import numpy as np

    with np.errstate(all="ignore"):
        middle = values - values.mean(axis=1, keepdims=True)
        rows = middle / np.maximum(np.sqrt((middle**2).sum(axis=1, keepdims=True)), 1e-30)
    return np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)  # which are like no other ones


def _places(one: Shape, other: Shape, names: NamedSizes) -> list[SampledOrder]:
    """Return the orders between two shapes, without those that come to the same."""
    import numpy as np

    count = math.prod(one)
    numbered = np.arange(count).reshape(one)
    found: dict[bytes, SampledOrder] = {}
    for operation in _orders(one, other, names):
        made = as_array(Numpy(), names.bound(operation).apply({(): numbered})[()])
        if made.shape == other:
            positions = made.reshape(-1)[sample(count)]
            found.setdefault(positions.tobytes(), SampledOrder(operation, positions))
    return list(found.values())


def _orders(one: Shape, other: Shape, names: NamedSizes) -> Iterator[Operation]:
    """Yield the operations between two shapes that are tried, the plainest first."""
    levels = within(View(0, (Level(math.prod(one), 1),)), one, other)
    if levels is not None:
        yield Identity() if one == other else arrangement(one, other, levels, names)
    if 1 < len(one) == len(other) <= 4:
        for axes in itertools.permutations(range(len(one))):
            if tuple(one[axis] for axis in axes) == other and axes != tuple(range(len(one))):
                yield Transpose() if axes == tuple(reversed(range(len(one)))) else Transpose(axes)
    if one == other and one:
        heads = {one[0] // size for size in _HEAD_SIZES} | set(names.numbers.values())
        for count in sorted(heads):
            if 0 < count <= one[0] and one[0] % (2 * count) == 0:
                yield from (Rotary(names.heads(count), to=to) for to in ("halves", "pairs"))

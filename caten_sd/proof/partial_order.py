"""The order of a tensor of which only a part at one end of its first axis is in another order.

Queries and keys stay as they are and values change places, all in one tensor.
"""

from __future__ import annotations

from typing import Any

from caten_sd.mapping.assembly import Concat, Split
from caten_sd.mapping.operations import Chain, Identity, Operation
from caten_sd.mapping.rearrange import Each
from caten_sd.proof.arrangement import arrangement
from caten_sd.proof.named_sizes import NamedSizes
from caten_sd.proof.strided_views import Level, boundaries, likely_strides, strided_view, within

Shape = tuple[int, ...]


def partly_ordered(
    whole: Any, part: Any, here: Shape, there: Shape, names: NamedSizes
) -> Operation | None:
    """Return the operation between flat arrays of two shapes, or None.

    >>> import numpy
    >>> part = numpy.array([0, 1, 2, 4, 6, 3, 5, 7])
    >>> partly_ordered(numpy.arange(8), part, (8,), (8,), NamedSizes({})).operations[0]
    Split(shares=(1, 3), axis=0)
    """
    if [size for size in here if size > 1] != [size for size in there if size > 1] or not there:
        return None
    before, after = (each.reshape(there[0], -1) for each in (whole, part))
    order = _ordered_end(before, after, there, names)
    if order is None or here == there:
        return order
    rest = arrangement(here, there, _in_order(there), names)
    return Chain(rest, *order.operations)


def _in_order(shape: Shape) -> list[Level]:
    """Return the levels of all elements of a shape as they are."""
    steps = zip(shape, boundaries(shape), strict=True)
    return [Level(size, stride) for size, stride in steps if size > 1]


def _ordered_end(whole: Any, part: Any, shape: Shape, names: NamedSizes) -> Chain | None:
    """Return the steps that put the rows at the end, or at the start, in another order.

    What changes places keeps its first rows and as many of its last ones.
    """
    differing = (whole != part).any(axis=1).nonzero()[0]
    if not len(differing):
        return None
    before, after = int(differing[0]), len(whole) - 1 - int(differing[-1])
    for start, end in ((before - after, len(whole)), (0, len(whole) - (after - before))):
        if 0 <= start < end <= len(whole) and end - start < len(whole):
            rows = (end - start, *shape[1:])
            order = _order(whole[start:end], part[start:end], rows, names)
            if order is not None:
                return _steps(start, end, len(whole), order, names)
    return None


def _order(whole: Any, part: Any, shape: Shape, names: NamedSizes) -> Operation | None:
    hints = likely_strides(shape, names.numbers.values())
    view = strided_view(whole.reshape(-1), part.reshape(-1), hints, first=True)
    levels = view and within(view, shape, shape)
    return arrangement(shape, shape, levels, names) if levels is not None else None


def _steps(start: int, end: int, rows: int, order: Operation, names: NamedSizes) -> Chain:
    lengths = (start, rows - start) if start else (end, rows - end)
    shares = names.shares(lengths)
    each = (Identity(), order) if start else (order, Identity())
    return Chain(Split(shares), Each(*each), Concat(shares))

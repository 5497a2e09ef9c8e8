"""A part of a tensor that is several views of it, one after the other along its first axis.

One tensor has the queries, keys and values of each group in turn, and another all queries, then all
keys, then all values.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.axis_sizes import Size, terms
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.operations import Chain, Operation
from caten_sd.proof.division import Found, Shape
from caten_sd.proof.strided_views import strided_view

_MOST = 16  # pieces of one part


def found_pieces(
    whole: Any, part: Any, here: Shape, there: Shape, hints: Sequence[int]
) -> list[Found]:
    """Return the part as one view of the whole, or as several; none if it is neither."""
    view = strided_view(whole, part, hints, first=False)
    if view is not None:
        return [Found(there, view)]
    if len(here) != len(there) or here[1:] != there[1:] or part.size == 0:
        return []
    rows = part.reshape(there[0], -1)
    found = []
    for start, end in _increasing(whole.reshape(here[0], -1), rows):
        view = strided_view(whole, rows[start:end].reshape(-1), hints, first=False)
        if view is None:
            return []
        found.append(Found((end - start, *there[1:]), view))
    return found if 1 < len(found) <= _MOST else []


def _increasing(whole: Any, part: Any) -> Iterator[tuple[int, int]]:
    """Yield the ranges of rows that have the order of the whole; none if a row is not in it."""
    places = {row.tobytes(): n for n, row in enumerate(whole)}
    order = [places.get(row.tobytes()) for row in part]
    known = [place for place in order if place is not None]
    if len(known) < len(order):
        return
    falls = [n for n in range(1, len(known)) if known[n] < known[n - 1]]
    if len(falls) < _MOST:
        yield from zip([0, *falls], [*falls, len(known)], strict=True)


def rejoined(operation: Operation, counts: Sequence[int]) -> Operation | None:
    """Return a division whose pieces are joined again, so many for each part, or None.

    >>> split = Chain(Regroup((1, 2, 2), 4, undo=True), Split((1, 2, 2)))
    >>> rejoined(split, [2, 1]).operations[1]
    Split(shares=(3, 2), axis=0)
    """
    steps = operation.operations if isinstance(operation, Chain) else ()
    if len(steps) != 2 or not isinstance(steps[0], Regroup) or not isinstance(steps[1], Split):
        return None
    each = iter(steps[1].shares)
    shares = tuple(_sum(list(itertools.islice(each, count))) for count in counts)
    return Chain(steps[0], Split(shares, steps[1].axis))


def _sum(sizes: Sequence[Size]) -> Size:
    """Return the sum of sizes.

    >>> _sum((1, 2)), _sum(("q*d", "q*d", "v*d"))
    (3, '2*q*d+v*d')
    """
    if all(isinstance(size, int) for size in sizes):
        return sum(int(size) for size in sizes)
    counts: Counter[tuple[str, ...]] = Counter()
    for size in sizes:
        for constant, names in terms(size):
            counts[names] += constant
    products = [
        "*".join([*([str(count)] if count > 1 or not names else []), *names])
        for names, count in counts.items()
    ]
    return "+".join(products)

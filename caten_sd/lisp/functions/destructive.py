"""Functions that change the list they are given, as SBCL does it: the cells get other places."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caten_sd.lisp.functions.lisp_values import Function
from caten_sd.lisp.functions.lists import (
    LispList,
    Vector,
    append,
    elements,
    items_in,
    like,
    share,
)


def joined(*lists: Any) -> Any:
    """Return the first list with the items of the others at its end, which changes it."""
    first, *others = [each for each in lists if each is not None] or [None]
    for each in others:
        start = len(items_in(first))
        first[:] = append(first, each)
        share(first, start)
    return first


def relinked(value: Any, items: Sequence[Any], first: int) -> Any:
    """Return these items in the cells of a list or a vector, whose first cell is now at an index.

    The list itself begins there: after ``(nreverse l)``, `l` has one item. Lists that have its
    last cells are left as they were.
    """
    if isinstance(value, Vector):
        value[:] = items
        return value
    if not isinstance(value, LispList):
        return like(value, items)
    value[:] = items[first:]
    if first == 0:
        return value
    share(value, 0)
    return share(LispList(items), first)


def reversed_in_place(value: Any) -> Any:
    """Return the items of a list or a vector from the last one on, in the cells that it has."""
    items = elements(value)[::-1]
    return relinked(value, items, len(items) - 1)


def sorted_in_place(value: Any, rank: Callable[[Any], Any]) -> Any:
    """Return a list or a vector in the order of the ranks of its items, in the cells it has."""
    items = elements(value)
    if not isinstance(value, LispList):
        return relinked(value, sorted(items, key=rank), 0)
    cells = _merged([(rank(item), cell, item) for cell, item in enumerate(items)])
    first = next(at for at, (_, cell, _) in enumerate(cells) if cell == 0)
    return relinked(value, [item for _, _, item in cells], first)


_Cells = list[tuple[Any, int, Any]]  # the rank of an item, its cell, the item
_rank_of = operator.itemgetter(0)


def _merged(cells: _Cells) -> _Cells:
    """Sort cells as SBCL does: three at most exchange their items, more are linked anew."""
    if len(cells) <= 3:
        found = sorted(cells, key=_rank_of)
        return [(rank, cells[at][1], item) for at, (rank, _, item) in enumerate(found)]
    half = len(cells) // 2
    return sorted(_merged(cells[:half]) + _merged(cells[half:]), key=_rank_of)


FUNCTIONS: Mapping[str, Function] = {"NCONC": joined, "NREVERSE": reversed_in_place}

"""Conditions on captured indices: which of the keys that a row's names match are the row's."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup, number_fix

_COMPARISON = re.compile(
    r"\s*([^\W\d])\s*(?:%\s*([1-9][0-9]*))?\s*(==|!=|<=|>=|<|>)\s*([^\W\d]\w+|[0-9]+)\s*"
)
_TESTS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Comparison(NamedTuple):
    """One index, or what a division of it leaves, compared with a number or a named number."""

    name: str
    divisor: int
    test: str
    bound: str

    def holds(self, captured: Mapping[str, object], lookup: Lookup | None) -> bool:
        """Return whether captured indices meet it."""
        index = int(str(captured[self.name]))
        if self.bound.isdecimal():
            bound = int(self.bound)
        elif lookup is None:
            raise LayoutError(f"{self.bound} is needed; {number_fix(self.bound)}")
        else:
            bound = lookup(self.bound)
        return _TESTS[self.test](index % self.divisor if self.divisor else index, bound)


Conditions = tuple[Comparison, ...]


@functools.cache
def conditions(text: str) -> Conditions:
    """Return the comparisons of a text; LayoutError if it is not one.

    >>> conditions("i % 2 == 0 and i < n_dense")[1]
    Comparison(name='i', divisor=0, test='<', bound='n_dense')
    """
    if not text:
        return ()
    found = []
    for part in text.split(" and "):
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise LayoutError(
                f"{part.strip()!r} does not compare an index with a number; write conditions such "
                f"as 'i < n_dense' or 'i % 2 == 0 and i > 3'"
            )
        name, divisor, test, bound = match.groups()
        found.append(Comparison(name, int(divisor or 0), test, bound))
    return tuple(found)


def hold(found: Conditions, captured: Mapping[str, object], lookup: Lookup | None) -> bool:
    """Return whether captured indices meet all conditions.

    >>> hold(conditions("i % 2 == 0"), {"i": "4"}, None)
    True
    """
    return all(each.holds(captured, lookup) for each in found)


def or_one(lookup: Lookup) -> Lookup:
    """Return a lookup that gives 1 for an unknown number, for a look at shapes.

    Conditions that exclude each other still do, whatever the number is.
    """

    def find(name: str) -> int:
        try:
            return lookup(name)
        except LayoutError:
            return 1

    return find

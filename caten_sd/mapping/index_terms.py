"""Arithmetic on captured indices, as in ``blk.{i+1}`` or ``input_blocks.{3*a+j+1}``.

A number in a key gives the captures back by division, so each factor is a multiple of the next.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from caten_sd.errors import LayoutError
from caten_sd.mapping.axis_sizes import Lookup

_TERM = re.compile(r"([+-])(?:([0-9]+)\*)?([^\W\d]\w*|[0-9]+)")


@dataclass(frozen=True)
class IndexTerms:
    """A sum of indices times factors, whole numbers and named numbers.

    ``factors`` has the captured indices, the largest factor first. ``numbers`` has the named
    numbers, which come from the model's configuration.

    >>> index_terms("3*a+j+1").value({"a": 2, "j": 1})
    8
    >>> index_terms("3*a+j+1").read(8)
    {'a': 2, 'j': 1}
    """

    text: str
    factors: tuple[tuple[str, int], ...]
    numbers: tuple[tuple[str, int], ...]
    constant: int

    @property
    def is_plain(self) -> bool:
        """Whether it is one index as it is."""
        return self.text == self.factors[0][0]

    def value(self, captured: Mapping[str, object], lookup: Lookup | None = None) -> int:
        """Return the number that a key has; LayoutError if the indices do not come back from it."""
        indices = {name: int(str(captured[name])) for name, _ in self.factors}
        number = self._start(lookup) + sum(indices[name] * by for name, by in self.factors)
        if self.read(number, lookup) != indices:
            given = " and ".join(f"{name} {index}" for name, index in indices.items())
            raise LayoutError(
                f"{{{self.text}}} has no place for {given}; correct the arithmetic, or restrict "
                f"the row with where="
            )
        return number

    def read(self, number: int, lookup: Lookup | None = None) -> dict[str, int] | None:
        """Return the indices that give a number, or None if none do."""
        number -= self._start(lookup)
        if number < 0:
            return None
        found = {}
        for name, by in self.factors:
            found[name], number = divmod(number, by)
        return None if number else found

    def _start(self, lookup: Lookup | None) -> int:
        if lookup is None:
            return self.constant
        return self.constant + sum(lookup(name) * by for name, by in self.numbers)


@functools.cache
def index_terms(text: str) -> IndexTerms:
    """Return the terms of a text; LayoutError if they cannot be undone."""
    bare = text.replace(" ", "")
    signed = bare if bare[:1] in "+-" else f"+{bare}"
    terms = [match.groups() for match in _TERM.finditer(signed)]
    if sum(len(match.group()) for match in _TERM.finditer(signed)) != len(signed):
        raise LayoutError(f"{{{text}}} is not a sum of indices; write one as in {{3*a+j+1}}")
    factors: list[tuple[str, int]] = []
    numbers: list[tuple[str, int]] = []
    constant = 0
    for sign, factor, word in terms:
        by = int(f"{sign}{factor or 1}")
        if word.isdecimal():
            constant += by * int(word)
        else:
            (factors if len(word) == 1 else numbers).append((word, by))
    factors.sort(key=lambda pair: -pair[1])
    _check(text, factors)
    return IndexTerms(bare, tuple(factors), tuple(numbers), constant)


def _check(text: str, factors: list[tuple[str, int]]) -> None:
    sizes = [by for _, by in factors]
    names = {name for name, _ in factors}
    divide = all(high > low and high % low == 0 for high, low in itertools.pairwise(sizes))
    if not factors or sizes[-1] < 1 or len(names) < len(factors) or not divide:
        raise LayoutError(
            f"{{{text}}} does not give its indices back; use indices of one letter, each once, "
            f"with factors above 0 that are multiples of the next, as in {{3*a+j+1}}"
        )

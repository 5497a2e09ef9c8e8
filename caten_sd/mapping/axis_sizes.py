"""Sizes of axes as layouts declare them: a number, a name, a product, or a sum of products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caten_sd.errors import LayoutError

Size = int | str
Lookup = Callable[[str], int]


def number_fix(name: str) -> str:
    """Return how a number is given that a layout needs."""
    return f"pass {name}= or config=, or to convert numbers= or --number {name}=NUMBER"


Term = tuple[int, tuple[str, ...]]  # a constant and the names that it is multiplied by


@functools.cache
def terms(size: Size) -> tuple[Term, ...]:
    """Return the products whose sum the size is; LayoutError if it is not a sum of products.

    >>> terms("2*d_inner + 3*n_head*head_dim")
    ((2, ('d_inner',)), (3, ('n_head', 'head_dim')))
    """
    return tuple(_product(text, size) for text in str(size).split("+"))


def _product(text: str, size: Size) -> Term:
    words = [word.strip() for word in text.split("*")]
    numbers = [int(word) for word in words if word.isdecimal() and word.isascii()]
    names = tuple(word for word in words if word.isidentifier())
    if len(numbers) + len(names) != len(words):
        raise LayoutError(
            f"{size!r} is not a size; write a count, a name, a product such as '3*n_embd', or a "
            f"sum of them"
        )
    return math.prod(numbers), names


def value(size: Size, lookup: Lookup) -> int:
    """Return the size as a number, with its names looked up.

    >>> value("3*n_embd + 1", {"n_embd": 8}.__getitem__)
    25
    """
    return sum(math.prod(map(lookup, names), start=constant) for constant, names in terms(size))


def solve(sizes: Sequence[Size], shape: Sequence[int], known: dict[str, int]) -> bool:
    """Return whether the shape can have these sizes; if so, add the names it gives to ``known``.

    A size with two unknown names gives no name and excludes no shape.

    >>> known = {"n_embd": 8}
    >>> solve(("vocab", "n_embd"), (50, 8), known), known
    (True, {'n_embd': 8, 'vocab': 50})
    >>> solve(("3*n_embd", "n_embd"), (8, 24), known)
    False
    """
    if len(sizes) != len(shape):
        return False
    found = dict(known)
    for size, extent in zip(sizes, shape, strict=True):
        if not _solve_axis(size, extent, found):
            return False
    known.update(found)
    return True


def _solve_axis(size: Size, extent: int, found: dict[str, int]) -> bool:
    """Return whether an axis can have a size; if so, add the name that it gives to ``found``."""
    unknown = [name for _, names in terms(size) for name in names if name not in found]
    if len(unknown) > 1:
        return True
    products = [
        (math.prod((found[name] for name in names if name in found), start=constant), names)
        for constant, names in terms(size)
    ]
    if not unknown:
        return sum(product for product, _ in products) == extent
    rest = extent - sum(product for product, names in products if unknown[0] not in names)
    share = sum(product for product, names in products if unknown[0] in names)
    if not share or rest < 0 or rest % share:
        return False
    found[unknown[0]] = rest // share
    return True


def names_in(sizes: Sequence[Size]) -> set[str]:
    """Return the names that sizes have.

    >>> sorted(names_in(("3*n_embd", "vocab", 4)))
    ['n_embd', 'vocab']
    """
    return {name for size in sizes for _, names in terms(size) for name in names}


def size_text(sizes: Sequence[Size]) -> str:
    """Return the sizes, written as a shape.

    >>> size_text(("3*n_embd", 4))
    '(3*n_embd, 4)'
    """
    return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"


class Numbers:
    """Looks up the numbers that operations name: among the given ones, then in a configuration.

    ``config`` is a mapping (a ``config.json``) or an object with attributes. ``aliases`` are other
    names that a number may have. An alias that has aliases itself is another number, which counts
    where none of the names is found: the heads, where nothing counts the key-value heads.
    ``stated`` are numbers of the file's metadata, which count last. A number that is in none of
    them is a LayoutError. ``paths`` are those of a model, by their text with "_" between the
    segments.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        config: Any = None,
        aliases: Mapping[str, Sequence[str]] | None = None,
        paths: Mapping[str, str] | None = None,
        stated: Mapping[str, Any] | None = None,
    ) -> None:
        self.given, self.config, self.aliases = given, config, aliases or {}
        self.paths, self.stated = paths, stated or {}

    def __call__(self, name: str) -> int:
        """Return the number of this name."""
        found = self.find(name)
        if found is None:
            raise LayoutError(f"{name} is needed and no shape gives it; {number_fix(name)}")
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise LayoutError(f"{name} is {found!r}; pass a whole number above 0")
        return found

    def find(self, name: str, shapes: Mapping[str, int] | None = None) -> Any:
        """Return what is given for a name, what shapes or the configuration say, or None."""
        aliases = self.aliases.get(name, ())
        others = [word for word in aliases if word in self.aliases]
        found = self._found((name, *(word for word in aliases if word not in others)), shapes)
        for word in others if found is None else ():
            found = self._found((word, *self.aliases[word]), shapes) if found is None else found
        return found

    def _found(self, words: Sequence[str], shapes: Mapping[str, int] | None) -> Any:
        """Return what is found under names of one number, of which shapes give the first."""
        found = next((self.given[word] for word in words if word in self.given), None)
        found = (shapes or {}).get(words[0]) if found is None else found
        for word in words:
            found = self.entry(word) if found is None else found
        for word in words:
            found = self.stated.get(word) if found is None else found
        return found

    def entry(self, name: str) -> Any:
        """Return what the configuration holds under a name, or None."""
        if isinstance(self.config, Mapping):
            return self.config.get(name)
        return getattr(self.config, name, None)

"""CLOS's order of methods, by the class precedence list of the actual arguments.

That list is Python's ``__mro__``. An abstract base class outside it gets the position that
``functools.singledispatch`` would give it.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Iterator
from itertools import takewhile

from caten_sd.dispatch.messages import ambiguous
from caten_sd.dispatch.method import Classes, Method
from caten_sd.errors import AmbiguousMethodError


def ordered(methods: Iterable[Method], types: Classes, generic: str) -> Iterator[Method]:
    """Yield the applicable methods, most specific first.

    AmbiguousMethodError is raised only when a tie is reached.
    """
    left = [method for method in methods if method.applies(types)]
    while left:
        free = [m for m in left if not any(_supersedes(o.classes, m.classes) for o in left)] or left
        first = [m for m in free if not any(_precedes(o.classes, m.classes, types) for o in free)]
        if len(first) != 1:
            raise AmbiguousMethodError(ambiguous(generic, types, first or free))
        yield first[0]
        left = [m for m in left if m is not first[0]]


def _supersedes(one: Classes, other: Classes) -> bool:
    """Return whether every class of one is a subclass of the other's, and not the reverse."""
    return all(map(issubclass, one, other)) and not all(map(issubclass, other, one))


def _precedes(one: Classes, other: Classes, types: Classes) -> bool:
    """Return whether one goes first by the leftmost argument in which the two differ."""
    for a, b, actual in zip(one, other, types, strict=True):
        if a is not b:
            here, there = _rank(a, actual), _rank(b, actual)
            if here == there:
                return issubclass(a, b) and not issubclass(b, a)
            return here < there
    return False


def _rank(cls: type, actual: type) -> int:
    """Return the position of a class in the order of an argument; ABCs fall between its bases."""
    mro = actual.__mro__
    if cls in mro:
        return 2 * mro.index(cls)
    return 1 + max((2 * mro.index(each) for each in _before_abc(cls, mro)), default=0)


def _before_abc(cls: type, mro: Classes) -> Iterator[type]:
    """Yield the classes of an MRO that precede an ABC which is not in it.

    They are the classes that introduce the ABC, and the ABCs among their explicit bases (with
    ancestors that the ABC does not share): inherited ABCs precede registered ones.
    """
    for each in mro:
        if issubclass(each, cls) and not any(issubclass(base, cls) for base in each.__bases__):
            yield each
            named = {c for base in _explicit(each.__bases__) for c in base.__mro__}
            yield from takewhile((named - set(cls.__mro__)).__contains__, each.__mro__[1:])


def _explicit(bases: Classes) -> Classes:
    last = max((i for i, base in enumerate(bases, 1) if isinstance(base, ABCMeta)), default=0)
    return bases[:last]

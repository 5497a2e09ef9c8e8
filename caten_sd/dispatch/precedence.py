"""Which method goes first: CLOS's order, by the class precedence list of the actual arguments.

Python has the list: ``__mro__``. An abstract base class that is not in it stands where
``functools.singledispatch`` would put it.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Iterator
from itertools import takewhile

from caten_sd.dispatch.complaint import ambiguous
from caten_sd.dispatch.method import Classes, Method
from caten_sd.errors import AmbiguousMethodError


def ordered(methods: Iterable[Method], types: Classes, generic: str) -> Iterator[Method]:
    """Yield the applicable methods, most specific first.

    Raises AmbiguousMethodError when a step is reached where none goes first, not before.
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
    return all(map(issubclass, one, other)) and not all(map(issubclass, other, one))


def _precedes(one: Classes, other: Classes, types: Classes) -> bool:
    for a, b, actual in zip(one, other, types, strict=True):
        if a is not b:
            here, there = _rank(a, actual), _rank(b, actual)
            if here == there:
                return issubclass(a, b) and not issubclass(b, a)
            return here < there
    return False


def _rank(cls: type, actual: type) -> int:
    mro = actual.__mro__
    if cls in mro:
        return 2 * mro.index(cls)
    return 1 + max((2 * mro.index(each) for each in _ahead(cls, mro)), default=0)


def _ahead(cls: type, mro: Classes) -> Iterator[type]:
    """Yield the classes of an MRO that an ABC outside it stands behind.

    They are those that bring it in, and the ABCs that these name as bases (with what they inherit,
    as far as the ABC does not): what is inherited goes before what is registered.
    """
    for each in mro:
        if issubclass(each, cls) and not any(issubclass(base, cls) for base in each.__bases__):
            yield each
            named = {c for base in _explicit(each.__bases__) for c in base.__mro__}
            yield from takewhile((named - set(cls.__mro__)).__contains__, each.__mro__[1:])


def _explicit(bases: Classes) -> Classes:
    last = max((i for i, base in enumerate(bases, 1) if isinstance(base, ABCMeta)), default=0)
    return bases[:last]

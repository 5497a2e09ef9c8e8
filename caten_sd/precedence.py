"""Which method goes first: CLOS's order, by the class precedence list of the actual arguments.

Python has the list: ``__mro__``. An abstract base class that is not in it stands just behind the
last class that satisfies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from caten_sd.errors import AmbiguousMethodError
from caten_sd.method import Classes, Method, class_names


def applies(method: Method, types: Classes) -> bool:
    """Whether a method takes arguments of exactly these types."""
    return all(map(issubclass, types, method.classes))


def ordered(methods: Iterable[Method], types: Classes, generic: str) -> Iterator[Method]:
    """The applicable methods, most specific first.

    Raises AmbiguousMethodError when a step is reached where none goes first, not before.
    """
    left = [method for method in methods if applies(method, types)]
    while left:
        free = [m for m in left if not any(_supersedes(o.classes, m.classes) for o in left)] or left
        first = [m for m in free if not any(_precedes(o.classes, m.classes, types) for o in free)]
        if len(first) != 1:
            raise AmbiguousMethodError(_ambiguity(first or free, types, generic))
        yield first[0]
        left.remove(first[0])


def _supersedes(one: Classes, other: Classes) -> bool:
    return (
        one != other and all(map(issubclass, one, other)) and not all(map(issubclass, other, one))
    )


def _precedes(one: Classes, other: Classes, types: Classes) -> bool:
    for a, b, actual in zip(one, other, types, strict=True):
        if a is not b:
            here, there = _rank(a, actual), _rank(b, actual)
            if here == there:
                return issubclass(a, b) and not issubclass(b, a)
            return here < there
    return False


def _rank(cls: type, actual: type) -> tuple[int, bool]:
    mro = actual.__mro__
    if cls in mro:
        return mro.index(cls), False
    return max(i for i, each in enumerate(mro) if issubclass(each, cls)), True


def _ambiguity(methods: list[Method], types: Classes, generic: str) -> str:
    one, other = methods[:2]
    return (
        f"{generic}({class_names(types)}) could be answered by {one} or by {other}, and neither is "
        f"more specific; register a method for ({class_names(types)}) to settle it"
    )

"""The effective method: CLOS's standard method combination, composed once per tuple of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

from caten_sd.errors import AmbiguousMethodError, NoNextMethodError
from caten_sd.method import Classes, Method
from caten_sd.precedence import ordered

Function = Callable[..., Any]

QUALIFIERS = ("around", "before", "primary", "after")


def effective(methods: Iterable[Method], types: Classes, generic: str) -> Function | None:
    """What a call with arguments of these types runs; ``None`` where no primary method applies."""
    rows: dict[str, list[Method]] = {qualifier: [] for qualifier in QUALIFIERS}
    for method in methods:
        rows[method.qualifier].append(method)
    primaries = ordered(rows["primary"], types, generic)
    first = next(primaries, None)
    if first is None:
        return None
    main = _link(first, primaries, NoNext(generic, types))
    before = [m.function for m in ordered(rows["before"], types, generic)]
    after = [m.function for m in ordered(rows["after"], types, generic)][::-1]
    if before or after:
        main = Framed(tuple(before), main, tuple(after))
    arounds = ordered(rows["around"], types, generic)
    outer = next(arounds, None)
    return main if outer is None else _link(outer, arounds, main)


def _link(method: Method, rest: Iterator[Method], last: Function) -> Function:
    """A method with what comes next already in its first argument, if it asks for that."""
    if not method.wants_next:
        return method.function
    try:
        following = next(rest, None)
    except AmbiguousMethodError as error:
        return partial(method.function, Undecided(str(error)))
    return partial(method.function, last if following is None else _link(following, rest, last))


class Framed:
    """A primary method with the ``before`` and ``after`` methods around it."""

    __slots__ = ("after", "before", "main")

    def __init__(
        self, before: tuple[Function, ...], main: Function, after: tuple[Function, ...]
    ) -> None:
        self.before, self.main, self.after = before, main, after

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run all of them with these arguments; the value is the primary method's."""
        for function in self.before:
            function(*args, **kwargs)
        value = self.main(*args, **kwargs)
        for function in self.after:
            function(*args, **kwargs)
        return value


class NoNext:
    """What the last method gets for ``call_next_method``: false, and an error when called."""

    __slots__ = ("generic", "types")

    def __init__(self, generic: str, types: Classes) -> None:
        self.generic, self.types = generic, types

    def __bool__(self) -> bool:
        return False

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NoNextMethodError."""
        names = ", ".join(each.__qualname__ for each in self.types)
        raise NoNextMethodError(
            f"{self.generic}({names}) has no next method; test `if call_next_method:` before "
            f"calling it, or register a method for a more general class"
        )


class Undecided:
    """A next method that cannot be chosen: true, and an error when called."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise AmbiguousMethodError."""
        raise AmbiguousMethodError(self.message)

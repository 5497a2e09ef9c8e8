"""CLOS's standard method combination: the applicable methods composed into one function.

The composition is done once for each tuple of argument classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

from caten_sd.dispatch.method import Classes, Function, Method, class_names
from caten_sd.dispatch.precedence import ordered
from caten_sd.errors import AmbiguousMethodError, NoNextMethodError


def by_role(methods: Iterable[Method], types: Classes, generic: str) -> dict[str, Iterator[Method]]:
    """Return the applicable methods by qualifier, each in the order they run."""
    rows: dict[str, list[Method]] = {"around": [], "before": [], "primary": [], "after": []}
    for method in methods:
        rows[method.qualifier].append(method)
    ranked = {role: ordered(row, types, generic) for role, row in rows.items()}
    return {**ranked, "after": reversed(list(ranked["after"]))}


def effective(methods: Iterable[Method], types: Classes, generic: str) -> Function | None:
    """Return the function that a call with these types runs, or None without a primary method."""
    roles = by_role(methods, types, generic)
    first = next(roles["primary"], None)
    if first is None:
        return None
    run = _link(first, roles["primary"], NoNext(generic, types))
    before, after = (tuple(m.function for m in roles[role]) for role in ("before", "after"))
    if before or after:
        run = Framed(before, run, after)
    outer = next(roles["around"], None)
    return run if outer is None else _link(outer, roles["around"], run)


def _link(method: Method, rest: Iterator[Method], last: Function) -> Function:
    """Return the method's function, its ``call_next_method`` bound if it has one."""
    if not method.wants_next:
        return method.function
    try:
        following = next(rest, None)
    except AmbiguousMethodError as error:
        return partial(method.function, AmbiguousNext(str(error)))
    return partial(method.function, last if following is None else _link(following, rest, last))


class Framed:
    """The primary methods between the ``before`` and the ``after`` methods."""

    __slots__ = ("after", "before", "main")

    def __init__(
        self, before: tuple[Function, ...], main: Function, after: tuple[Function, ...]
    ) -> None:
        self.before, self.main, self.after = before, main, after

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run all methods with these arguments, and return the primary method's value."""
        for function in self.before:
            function(*args, **kwargs)
        value = self.main(*args, **kwargs)
        for function in self.after:
            function(*args, **kwargs)
        return value


class NoNext:
    """The ``call_next_method`` of the last method: it is false, and raises when called."""

    __slots__ = ("generic", "types")

    def __init__(self, generic: str, types: Classes) -> None:
        self.generic, self.types = generic, types

    def __bool__(self) -> bool:
        return False

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NoNextMethodError."""
        raise NoNextMethodError(
            f"{self.generic}({class_names(self.types)}) has no next method; ask "
            f"`if call_next_method:` before calling it, or register a more general method"
        )


class AmbiguousNext:
    """An ambiguous ``call_next_method``: it is true, and raises when called."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise AmbiguousMethodError."""
        raise AmbiguousMethodError(self.message)

"""The effective method: CLOS's standard method combination, composed once per tuple of classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

from caten_sd.dispatch.method import Classes, Function, Method, class_names
from caten_sd.dispatch.precedence import ordered
from caten_sd.errors import AmbiguousMethodError, NoNextMethodError


def by_role(methods: Iterable[Method], types: Classes, generic: str) -> dict[str, Iterator[Method]]:
    """Return the applicable methods in the order they run, under the qualifier they have."""
    rows: dict[str, list[Method]] = {"around": [], "before": [], "primary": [], "after": []}
    for method in methods:
        rows[method.qualifier].append(method)
    ranked = {role: ordered(row, types, generic) for role, row in rows.items()}
    return {**ranked, "after": reversed(list(ranked["after"]))}


def effective(methods: Iterable[Method], types: Classes, generic: str) -> Function | None:
    """Return what a call with arguments of these types runs; ``None`` without a primary method."""
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
    """Return a method that holds what comes next as its first argument, if it asks for that."""
    if not method.wants_next:
        return method.function
    try:
        following = next(rest, None)
    except AmbiguousMethodError as error:
        return partial(method.function, Undecided(str(error)))
    return partial(method.function, last if following is None else _link(following, rest, last))


class Framed:
    """The primary methods with the ``before`` and ``after`` methods around them."""

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
        raise NoNextMethodError(
            f"{self.generic}({class_names(self.types)}) has no next method; ask "
            f"`if call_next_method:` before calling it, or register a more general method"
        )


class Undecided:
    """A next method that cannot be chosen: true, and an error when called."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, /, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise AmbiguousMethodError."""
        raise AmbiguousMethodError(self.message)

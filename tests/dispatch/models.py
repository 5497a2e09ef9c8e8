"""What the tests of dispatch share: fresh generic functions, and classes to call them with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caten_sd.dispatch.generic import GenericFunction, generic


def fresh(arity: int = 1) -> GenericFunction[..., Any]:
    @generic
    def one(a: Any, /) -> Any: ...

    @generic
    def two(a: Any, b: Any, /) -> Any: ...

    @generic
    def four(a: Any, b: Any, c: Any, d: Any, /, *rest: Any) -> Any: ...

    return {1: one, 2: two, 4: four}[arity]


def constant(value: Any) -> Callable[..., Any]:
    return lambda *args: value


class A: ...


class B: ...


class C(A, B): ...

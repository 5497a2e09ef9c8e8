"""What a generic function says: one sentence with what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Any

import pytest

from caten_sd.dispatch.generic import GenericFunction, generic
from caten_sd.dispatch.method import label
from caten_sd.errors import (
    AmbiguousMethodError,
    CatenError,
    DuplicateMethodError,
    NoApplicableMethodError,
)


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


@pytest.mark.parametrize("arity", [1, 2, 4])
def test_too_few_arguments_are_counted(arity: int) -> None:
    function = fresh(arity)
    function.register()(constant(1))
    with pytest.raises(
        NoApplicableMethodError, match=rf"{arity} positional .* but {arity - 1} came"
    ):
        function(*[0] * (arity - 1))
    assert function(*[0] * arity) == 1


def test_a_missing_method_is_told_in_one_sentence() -> None:
    function = fresh(2)
    function.register(int)(constant(1))
    with pytest.raises(NoApplicableMethodError) as caught:
        function(A(), "")
    assert str(caught.value) == (
        f"no method of two takes ({__name__}.A, str); known are (int, object); "
        "add one with @two.register(A)"
    )
    function.register(str, int)(constant(2))
    for number in range(9):
        function.register(type(f"T{number}", (), {}))(constant(number))
    with pytest.raises(NoApplicableMethodError, match=r"T5, object\) and 3 more; .*\(A, str\)$"):
        function(A(), "")
    with pytest.raises(NoApplicableMethodError, match=r"known are none; .*register\(int, int\)$"):
        fresh(2)(1, 2)


def test_an_ambiguity_names_both_methods_their_files_and_the_way_out() -> None:
    function = fresh()

    @function.register(Sized)
    def sized(thing: Sized) -> None: ...

    @function.register(Iterable)
    def iterable(thing: Iterable[Any]) -> None: ...

    with pytest.raises(AmbiguousMethodError) as caught:
        function([])
    lines = [each.__code__.co_firstlineno for each in (sized, iterable)]
    assert str(caught.value) == (
        "one(list) could be answered by "
        f"(Sized) {__name__}.{sized.__qualname__} at {__file__}:{lines[0]} or by "
        f"(Iterable) {__name__}.{iterable.__qualname__} at {__file__}:{lines[1]}, "
        "and none is more specific; settle it with a method of its own, @one.register(list)"
    )
    function.register(list)(constant("settled"))
    assert function([]) == "settled"


def test_a_duplicate_names_both_functions_and_what_to_do() -> None:
    function = fresh()
    function.register(int)(constant)
    with pytest.raises(DuplicateMethodError) as caught:
        function.register(int)(fresh)
    assert str(caught.value) == (
        f"one has the method (int) {label(constant)} already, and {label(fresh)} would replace it; "
        "register it for other classes, or define it again under the old one's module and name"
    )
    assert label(fresh) == f"{__name__}.fresh at {__file__}:{fresh.__code__.co_firstlineno}"


def test_all_its_errors_are_the_librarys() -> None:
    for attempt in (lambda: fresh()(""), lambda: fresh().register("int"), lambda: generic(fresh)):
        with pytest.raises(CatenError):
            attempt()

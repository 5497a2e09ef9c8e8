"""The error messages of dispatch: what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

import pytest

from caten_sd.dispatch.generic import generic
from caten_sd.dispatch.method import label
from caten_sd.errors import (
    AmbiguousMethodError,
    CatenError,
    DuplicateMethodError,
    NoApplicableMethodError,
)

from .models import A, constant, fresh


@pytest.mark.parametrize("arity", [1, 2, 4])
def test_too_few_arguments_are_counted(arity: int) -> None:
    function = fresh(arity)
    function.register(object)(constant(1))
    with pytest.raises(NoApplicableMethodError, match=rf"{arity} positional .* got {arity - 1}; "):
        function(*[0] * (arity - 1))
    assert function(*[0] * arity) == 1


def test_a_missing_method_names_both_sides_and_how_to_add_it() -> None:
    function = fresh(2)
    function.register(int)(constant(1))
    with pytest.raises(NoApplicableMethodError) as caught:
        function(A(), "")
    message = str(caught.value)
    assert message.startswith(f"no method of two takes ({A.__module__}.A, str); ")
    assert message.endswith(" (int, object); add one with @two.register(A)")
    function.register(str, int)(constant(2))
    for number in range(9):
        function.register(type(f"T{number}", (), {}))(constant(number))
    with pytest.raises(NoApplicableMethodError, match=r"T5, object\) and 3 more; .*\(A, str\)$"):
        function(A(), "")
    with pytest.raises(NoApplicableMethodError, match=r"no methods.*register\(int, int\)$"):
        fresh(2)(1, 2)


def test_a_method_around_every_call_is_not_said_to_take_these_types() -> None:
    function = fresh()
    function.around(object)(lambda call_next_method, thing: call_next_method(thing))
    with pytest.raises(NoApplicableMethodError, match=r"^no method of \w+ takes [^;]*; ") as caught:
        function(A())
    assert "around" not in str(caught.value)
    function.around(A)(lambda call_next_method, thing: call_next_method(thing))
    with pytest.raises(NoApplicableMethodError, match="only around methods do"):
        function(A())


def test_an_ambiguity_names_both_methods_their_files_and_the_way_out() -> None:
    function = fresh()

    @function.register(Sized)
    def sized(thing: Sized) -> None: ...

    @function.register(Iterable)
    def iterable(thing: Iterable[Any]) -> None: ...

    with pytest.raises(AmbiguousMethodError) as caught:
        function([])
    lines = [each.__code__.co_firstlineno for each in (sized, iterable)]
    message = str(caught.value)
    assert message.startswith("one(list) ")
    assert f"(Sized) {__name__}.{sized.__qualname__} at {__file__}:{lines[0]}" in message
    assert f"(Iterable) {__name__}.{iterable.__qualname__} at {__file__}:{lines[1]}" in message
    assert message.endswith("@one.register(list)")
    function.register(list)(constant("settled"))
    assert function([]) == "settled"


def test_a_duplicate_names_both_functions_and_what_to_do() -> None:
    function = fresh()
    function.register(int)(constant)
    with pytest.raises(DuplicateMethodError) as caught:
        function.register(int)(fresh)
    assert f"(int) {label(constant)}, which {label(fresh)} would replace" in str(caught.value)
    assert "register the new one for other classes, or" in str(caught.value)
    assert label(fresh) == (
        f"{fresh.__module__}.fresh at {fresh.__code__.co_filename}:{fresh.__code__.co_firstlineno}"
    )


def test_all_its_errors_are_the_librarys() -> None:
    for attempt in (lambda: fresh()(""), lambda: fresh().register("int"), lambda: generic(fresh)):
        with pytest.raises(CatenError):
            attempt()

"""What may be registered: which classes, which functions, and when one function is another."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Any, Optional, Union

import pytest

from caten_sd.dispatch.generic import generic
from caten_sd.dispatch.method import class_names, same_source, signatures
from caten_sd.errors import DispatchError


class Structural(typing.Protocol):
    field: int


@typing.runtime_checkable
class Sizable(typing.Protocol):
    def size(self) -> int: ...


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (None, r"not on None; write type\(None\)"),
        (Any, "write object"),
        ("int", "write the class itself, not its name"),
        ([int], "write one class, or a tuple of classes"),
        ((), "write one class, or a tuple of classes"),
        (list[int], "write list, because the items are not checked"),
        (typing.List[int], "write list, because the items are not checked"),  # noqa: UP006
        (Optional[int], "write one class, or a tuple of classes"),  # noqa: UP045
        (Union[int, str], "write one class, or a tuple of classes"),  # noqa: UP007
        (int | str, "write one class, or a tuple of classes"),
        ((int, None), r"write type\(None\)"),
        (len, "write the classes in parentheses after register"),
        (lambda thing: thing, "write the classes in parentheses after register"),
        (3, "write one class, or a tuple of classes"),
        (Structural, "write a class that issubclass accepts"),
    ],
)
def test_what_is_not_a_class_is_refused_with_what_to_write(given: Any, remedy: str) -> None:
    with pytest.raises(DispatchError, match=rf"^f .*{remedy}$"):
        signatures((given,), 1, "f")


def test_unions_are_tuples_and_classes_left_out_are_object() -> None:
    assert signatures((), 2, "f") == [(object, object)]
    assert signatures(((int, (str, bytes)), (list, dict)), 2, "f") == [
        (a, b) for a in (int, str, bytes) for b in (list, dict)
    ]
    assert signatures((type(None), Sizable), 2, "f") == [(type(None), Sizable)]


@pytest.mark.parametrize(
    ("arity", "match"),
    [(1, "1 argument, but 3 .* the last 2"), (2, "2 arguments, but 3 .* the last 1")],
)
def test_more_classes_than_arguments_are_refused(arity: int, match: str) -> None:
    with pytest.raises(DispatchError, match=match):
        signatures((int, int, int), arity, "f")


@generic
def act(thing: Any, other: Any, /, *rest: Any) -> Any:
    """Two arguments decide."""


def asking(call_next_method: Any, thing: Any, other: Any) -> Any: ...
def asking_late(thing: Any, call_next_method: Any) -> Any: ...
def short(thing: Any) -> Any: ...
def short_asking(call_next_method: Any, thing: Any) -> Any: ...
def keyword(thing: Any, *, call_next_method: Any = 0) -> Any: ...
def long(thing: Any, other: Any, third: Any, *, key: int) -> Any: ...
def open_(*everything: Any) -> Any: ...


@functools.wraps(asking)
def wrapped(*everything: Any) -> Any:
    return asking(*everything)


@pytest.mark.parametrize(
    ("qualifier", "function", "match"),
    [
        ("primary", short, r"test_method.short at .*test_method.py:\d+ takes 1 .* with 2; add"),
        ("primary", short_asking, "takes 1 positional"),
        ("primary", keyword, "takes 1 positional"),
        ("around", long, "the around method .*long .* name its first parameter call_next_method"),
        ("around", asking_late, "name its first parameter call_next_method"),
        ("before", asking, "the before method .* has no next method; remove its parameter"),
        ("after", asking, "the after method .* has no next method"),
    ],
)
def test_a_function_that_cannot_play_its_role_is_refused(
    qualifier: str, function: Callable[..., Any], match: str
) -> None:
    with pytest.raises(DispatchError, match=match):
        act.add((int, int), function, qualifier)
    assert act.methods() == ()


@pytest.mark.parametrize(
    ("function", "wants"),
    [
        (asking, True),
        (wrapped, True),
        (asking_late, False),
        (long, False),
        (open_, False),
        (dict.get, False),
        (max, False),
        (functools.partial(asking, None), False),
    ],
)
def test_the_first_parameters_name_asks_for_the_next_method(
    function: Callable[..., Any], wants: bool
) -> None:
    @generic
    def fresh(thing: Any, other: Any, /) -> Any: ...

    assert fresh.register(int)(function) is function
    assert [method.wants_next for method in fresh.methods()] == [wants]


def again(function: str, line: int = 0, module: str = "m") -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": module}
    exec(compile("\n" * line + function, "cell.py", "exec"), space)
    return typing.cast("Callable[..., Any]", space.get("f") or space["_"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (again("def f(): ..."), again("def f(): return 1", line=5), True),
        (again("def f(): ..."), again("def f(): ...", module="n"), False),
        (again("def _(): ..."), again("def _(): ..."), True),
        (again("def _(): ..."), again("def _(): ...", line=1), False),
        (again("f = lambda: 0"), again("f = lambda: 0"), True),
        (again("f = lambda: 0"), again("f = lambda: 0", line=1), False),
        (functools.partial(again), functools.partial(again), False),
        (max, max, True),
        (max, min, False),
    ],
)
def test_a_function_is_the_same_when_it_is_defined_again(one: Any, other: Any, same: bool) -> None:
    assert same_source(one, other) is same
    assert same_source(other, one) is same


def test_a_method_prints_its_role_its_classes_and_where_it_is() -> None:
    @generic
    def shown(thing: Any, other: Any, /) -> Any: ...

    shown.after(int)(long)
    shown.register(str, Sizable)(max)
    line = long.__code__.co_firstlineno
    assert list(map(repr, shown.methods())) == [
        f"<after (int, object) {__name__}.long at {__file__}:{line}>",
        "<(str, Sizable) builtins.max>",
    ]
    assert class_names((int, Structural)) == "int, Structural"

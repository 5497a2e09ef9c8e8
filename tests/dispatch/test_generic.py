"""A generic function as its users meet it: definition, calls, listing, reload, threads."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from abc import ABC
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from caten_sd.dispatch.generic import generic
from caten_sd.errors import (
    DispatchError,
    DuplicateMethodError,
)

from .models import A, B, C, constant, fresh


@generic
def describe(thing: Any, /, *rest: Any, loud: bool = False) -> str:
    """Describe a thing."""
    raise NotImplementedError


@describe.register(int)
def describe_int(thing: int, *rest: Any, loud: bool = False) -> str:
    """Describe an int."""
    return "AN INT" if loud else "an int"


def test_reloading_a_module_replaces_its_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from {} import reloaded\n@reloaded.register(int)\ndef _(thing): return {}\n"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "reload_home", sys.modules[__name__])
    monkeypatch.setattr(sys.modules[__name__], "reloaded", fresh(), raising=False)
    file = tmp_path / "reloaded_methods.py"
    file.write_text(source.format("reload_home", 1))
    module = importlib.import_module("reloaded_methods")
    function = module.reloaded
    assert function(0) == 1
    file.write_text(source.format("reload_home", 22))
    importlib.reload(module)
    assert function(0) == 22
    file.write_text("\n" + source.format("reload_home", 3))
    with pytest.raises(DuplicateMethodError):
        importlib.reload(module)


def test_four_arguments_dispatch_too() -> None:
    function = fresh(4)
    function.register(int, int, int, int)(constant("ints"))
    function.register(int, int, int)(constant("three"))
    assert (function(1, 1, 1, 1, "more"), function(1, 1, 1, "")) == ("ints", "three")


def test_clear_cache_chooses_again_for_a_class_whose_bases_were_replaced() -> None:
    function = fresh()
    for cls in (A, B):
        function.register(cls)(constant(cls))
    changing = type("changing", (A,), {})
    assert function(changing()) is A
    changing.__bases__ = (B,)
    function.clear_cache()
    assert function(changing()) is B


def test_methods_are_in_one_table_which_stock_help_and_source_ask(
    capsys: pytest.CaptureFixture[str],
) -> None:
    function = fresh()
    function.register(int)(describe_int)
    function.before(str)(constant(1))
    assert function.funcs == {}
    function.help(1)
    function.source(1)
    printed = capsys.readouterr().out
    assert "Describe an int." in printed
    assert "def describe_int(thing: int" in printed


def define(text: str) -> Callable[..., Any]:
    space: dict[str, Any] = {}
    exec(text, space)
    return space["f"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "text",
    [
        "def f(): ...",
        "def f(a): ...",
        "def f(a, /, b): ...",
        "def f(a=1, /): ...",
        "def f(*a, b): ...",
    ],
)
def test_a_definition_must_say_what_to_dispatch_on(text: str) -> None:
    with pytest.raises(DispatchError, match="does not say what to dispatch on; write a / after"):
        generic(define(text))


@pytest.mark.parametrize(
    ("text", "arity"),
    [
        ("def f(a, b, /, *, c): ...", 2),
        ("def f(a, b=1, /, c=2, **d): ...", 1),
        ("f = lambda a, b, c, /: ...", 3),
    ],
)
def test_the_required_positional_parameters_are_what_it_dispatches_on(
    text: str, arity: int
) -> None:
    assert generic(define(text)).arity == arity


def test_dispatch_fills_up_with_object_and_remembers() -> None:
    function, asked = fresh(2), []

    class Asked(ABC):  # noqa: B024
        @classmethod
        def __subclasshook__(cls, other: type) -> Any:
            asked.append(other)
            return True

    method = function.register(Asked)(constant(1))
    assert function.dispatch(A) is function.dispatch(A, object) is method
    count = len(asked)
    assert function.dispatch(A) is method
    assert function(A(), object()) == 1
    assert len(asked) == count
    with pytest.raises(DispatchError, match="leave out the last 1"):
        function.dispatch(A, A, A)


def test_methods_lists_all_or_those_that_answer_in_the_order_they_run() -> None:
    function = fresh(2)
    roles = [("primary", A), ("primary", C), ("after", A), ("after", C), ("before", A)]
    for role, cls in (*roles, ("primary", int)):
        function.add((cls,), lambda *args, here=(role, cls): here, role)
    assert len(function.methods()) == 6
    expected = [("before", A), ("primary", C), ("primary", A), ("after", A), ("after", C)]
    assert [(m.qualifier, m.classes[0]) for m in function.methods(C)] == expected
    assert function.methods(str) == ()


def test_a_method_registered_while_another_is_chosen_is_not_lost() -> None:
    function = fresh()

    class Meddling(ABC):  # noqa: B024
        @classmethod
        def __subclasshook__(cls, other: type) -> Any:
            if other is A:
                function.register(A)(constant("specific"))
            return True

    function.register(Meddling)(constant("general"))
    assert [function(A()), function(A())] == ["general", "specific"]


def test_threads_register_and_call_without_losing_a_method(
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    function = fresh()
    classes = [type(f"T{number}", (), {}) for number in range(120)]
    function.register(object)(constant(None))
    start, wrong = threading.Barrier(4), []

    def work(part: list[type]) -> None:
        start.wait()
        for cls in part:
            function(cls())
            function.register(cls)(constant(cls))
            if function(cls()) is not cls:
                wrong.append(cls)

    threads = [threading.Thread(target=work, args=(classes[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(function.methods()) == 121


class TestAnnotations:
    def test_without_classes_a_method_is_for_those_of_its_annotations(self) -> None:
        size = generic(_size)

        @size.register()
        def of_a_list(thing: list[str], unit: int | float) -> str:
            return "list"

        @size.register()
        def of_the_next(call_next_method: Any, thing: bool, unit: Any) -> str:
            return "bool"

        found = {each.classes for each in size.methods()}
        assert found == {(list, int), (list, float), (bool, object)}
        assert (size([], 1.5), size(True, "x")) == ("list", "bool")

    @pytest.mark.parametrize(
        "method",
        [
            lambda thing, unit: 1,
            lambda *things: 1,
            constant(1),
        ],
    )
    def test_a_method_without_annotations_is_refused(self, method: Any) -> None:
        with pytest.raises(DispatchError, match=r"_size .*annotat"):
            generic(_size).register()(method)

    def test_an_annotation_that_is_missing_unknown_or_no_class_is_named(self) -> None:
        def half(thing: int, unit): ...  # type: ignore[no-untyped-def]

        def unknown(thing: "Nowhere", unit: int): ...  # type: ignore  # noqa: F821, UP037

        def odd(thing: Literal[1], unit: int): ...  # type: ignore[no-untyped-def]

        for method, words in ((half, "unit"), (unknown, "Nowhere"), (odd, "Literal")):
            with pytest.raises(DispatchError, match=words):
                generic(_size).register()(method)

    def test_the_other_roles_take_annotations_too(self) -> None:
        size = generic(_size)
        size.register(object)(lambda thing, unit: "any")

        @size.around()
        def around(call_next_method: Any, thing: int, unit: object) -> str:
            return f"<{call_next_method(thing, unit)}>"

        assert (size(1, 2), size("1", 2)) == ("<any>", "any")


def _size(thing: Any, unit: Any, /) -> Any:
    """Take two arguments."""

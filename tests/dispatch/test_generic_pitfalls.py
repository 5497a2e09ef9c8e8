"""What bites in stock multipledispatch and not here; the numbers are those of our list of it."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
import pydoc
import subprocess
import sys
from abc import ABC, ABCMeta
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from multipledispatch.dispatcher import MDNotImplementedError

from caten_sd.dispatch.generic import generic
from caten_sd.errors import (
    DispatchError,
    DuplicateMethodError,
    NoApplicableMethodError,
)

from .models import A, B, C, constant, fresh


@generic
def describe(thing: Any, /, *rest: Any, loud: bool = False) -> str:
    """Describe a thing.

    >>> describe(1)
    'an int'
    """
    raise NotImplementedError


@describe.register(int)
def describe_int(thing: int, *rest: Any, loud: bool = False) -> str:
    return "AN INT" if loud else "an int"


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_pitfall_1_multiple_inheritance_follows_the_mro(order: tuple[type, ...]) -> None:
    function = fresh()
    for cls in order:
        function.register(cls)(constant(cls))
    assert function(C()) is A


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_pitfall_2_no_order_of_import_and_no_warning_decides(order: tuple[int, int]) -> None:
    signatures = ((object, float), (float, object))
    function = fresh(2)
    for index in order:
        function.register(*signatures[index])(constant(index))
    assert function(1.0, 1.0) == 1


def test_pitfall_4_another_function_does_not_replace_a_method() -> None:
    function = fresh()
    function.register((int, str))(describe_int)
    with pytest.raises(DuplicateMethodError, match=r"one already has the method \(int\)"):
        function.register((bytes, int))(constant(1))
    assert [m.classes for m in function.methods()] == [(int,), (str,)]


def test_pitfall_4_running_a_definition_again_replaces_it() -> None:
    function = fresh()

    def define(value: int) -> None:
        @function.register(int)
        def method(thing: int) -> int:
            return value

    define(1)
    assert function(0) == 1
    define(2)
    assert function(0) == 2


def test_pitfall_4_each_role_has_its_own_methods() -> None:
    function = fresh()
    for add in (function.register, function.before, function.after):
        add(int)(constant(add.__name__))
    assert function(1) == "register"


def test_pitfall_5_functions_of_one_name_share_nothing() -> None:
    one, other = fresh(), fresh()
    one.register(int)(constant(1))
    with pytest.raises(NoApplicableMethodError):
        other(1)


def test_pitfall_7_register_returns_the_plain_function() -> None:
    assert inspect.isfunction(describe_int)
    assert describe_int(1) == "an int"


def test_pitfall_8_keywords_and_extra_arguments_pass_through_and_never_dispatch() -> None:
    assert describe(1, object(), loud=True) == "AN INT"
    with pytest.raises(TypeError, match=r"1 positional argument and got 0; call it as describe\("):
        describe(thing=1)  # type: ignore[call-arg]


def test_pitfall_9_the_type_decides_not_what_the_object_says_it_is() -> None:
    class Liar:
        __class__ = int  # type: ignore[assignment]

    with pytest.raises(NoApplicableMethodError, match="Liar"):
        describe(Liar())


class AttrsLike(ABC):  # noqa: B024
    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return any("__attrs_attrs__" in each.__dict__ for each in other.__mro__) or NotImplemented


class NamedTuple(ABC):  # noqa: B024
    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return (issubclass(other, tuple) and hasattr(other, "_fields")) or NotImplemented


def test_pitfall_10_kinds_without_a_base_class_are_abcs_with_a_hook() -> None:
    function = fresh()
    for cls in (tuple, NamedTuple, AttrsLike, object):
        function.register(cls)(constant(cls))
    point = namedtuple("point", "x y")
    attrs_class = type("attrs_class", (), {"__attrs_attrs__": ()})
    things = ((1,), point(1, 2), attrs_class(), type("sub", (attrs_class,), {})(), 1)
    assert [*map(function, things)] == [tuple, NamedTuple, AttrsLike, AttrsLike, object]


def test_pitfall_12_annotations_are_not_read() -> None:
    function = fresh()

    @function.register(object)
    def anything(thing: int) -> str:
        return "anything"

    assert function("") == "anything"


def test_pitfall_13_registering_a_virtual_subclass_is_seen_after_a_call() -> None:
    function, kind = fresh(), ABCMeta("kind", (), {})
    function.register(object)(constant("object"))
    function.register(kind)(constant("kind"))
    assert function(A()) == "object"
    kind.register(A)
    assert function(A()) == "kind"


@pytest.mark.parametrize(
    "error", [NotImplementedError, MDNotImplementedError, KeyError, IndexError]
)
def test_pitfalls_14_and_15_what_a_method_raises_comes_out_untouched(
    error: type[Exception],
) -> None:
    function, raised, calls = fresh(), error("mine"), []

    @function.register(object)
    def general(thing: Any) -> None: ...

    @function.register(int)
    def broken(thing: int) -> None:
        calls.append(thing)
        raise raised

    for _ in range(2):
        with pytest.raises(error) as caught:
            function(1)
        assert caught.value is raised
    assert calls == [1, 1]


def test_pitfall_16_a_generic_function_is_not_a_method() -> None:
    with pytest.raises(DispatchError, match=r"Owner.dispatched at .* outside"):

        class Owner:
            @generic
            def dispatched(self: Any, /) -> Any: ...

    class Alias:
        function = describe

    assert Alias().function(1) == "an int"


def test_pitfall_18_the_docstring_is_the_definitions_and_its_examples_run() -> None:
    assert describe.__doc__ is not None
    assert describe.__doc__.startswith("Describe a thing.")
    found = doctest.DocTestFinder().find(sys.modules[__name__], __name__)
    (examples,) = [test for test in found if test.name == f"{__name__}.describe"]
    assert doctest.DocTestRunner().run(examples) == doctest.TestResults(0, 1)


def test_pitfall_19_it_can_be_looked_into() -> None:
    expected = "(thing: 'Any', /, *rest: 'Any', loud: 'bool' = False) -> 'str'"
    assert str(inspect.signature(describe)) == expected
    assert describe.__wrapped__.__name__ == describe.__name__ == describe.name == "describe"
    assert repr(describe) == f"<generic function {__name__}.describe>"
    assert "Describe a thing." in pydoc.render_doc(describe)


def test_pitfall_21_a_generic_is_pickled_and_copied_by_name() -> None:
    assert pickle.loads(pickle.dumps(describe)) is describe
    assert copy.deepcopy(describe) is copy.copy(describe) is describe
    with pytest.raises((pickle.PicklingError, AttributeError), match="one"):
        pickle.dumps(fresh())


def test_pitfall_23_stock_ordering_is_never_computed() -> None:
    function = fresh()
    for number in range(50):
        function.register(type(f"T{number}", (), {}))(constant(number))
    function.register(object)(constant("object"))
    assert function(1) == "object"
    assert function.__doc__ is None
    assert not hasattr(function, "_ordering")


TYPED = """
from typing import Any
from caten_sd.dispatch.generic import generic

@generic
def measure(thing: Any, /, *, unit: str = "m") -> float:
    raise NotImplementedError

@measure.register(int)
def measure_int(thing: int, *, unit: str = "m") -> float:
    return 1.0

reveal_type(measure(1))
reveal_type(measure_int)
measure(1, unit=2)
"""


@pytest.mark.slow
def test_pitfall_20_calls_and_methods_keep_their_types(tmp_path: Path) -> None:
    file = tmp_path / "typed.py"
    file.write_text(TYPED)
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path)]
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    assert 'typed.py:13: note: Revealed type is "float"' in output
    assert (
        'typed.py:14: note: Revealed type is "def (thing: int, *, unit: str =) -> float"' in output
    )
    assert 'typed.py:15: error: Argument "unit"' in output
    assert "Found 1 error" in output

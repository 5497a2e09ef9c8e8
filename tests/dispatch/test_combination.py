"""The standard method combination, against a small oracle of it written from its definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sized
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.dispatch.generic import GenericFunction, generic
from caten_sd.errors import (
    AmbiguousMethodError,
    DispatchError,
    NoApplicableMethodError,
    NoNextMethodError,
)
from tests.properties import examples


class A: ...


class B(A): ...


class C(A): ...


class D(B, C): ...


CLASSES = (A, B, C, D, object)
QUALIFIERS = ("around", "before", "primary", "after")


class Step(NamedTuple):
    """One method: its role, its classes, and whether it calls the next one."""

    qualifier: str
    classes: tuple[type, ...]
    goes_on: bool


def expected(steps: list[Step], types: tuple[type, ...]) -> tuple[list[Step], Any]:
    """What runs, in order, and the value: nested names of the methods that made it."""

    def distance(step: Step) -> list[int]:
        return [t.__mro__.index(c) for t, c in zip(types, step.classes, strict=True)]

    applicable = [s for s in steps if all(map(issubclass, types, s.classes))]
    role = {
        q: sorted((s for s in applicable if s.qualifier == q), key=distance) for q in QUALIFIERS
    }
    ran: list[Step] = []

    def primary(rest: list[Step]) -> Any:
        ran.append(rest[0])
        return (rest[0], primary(rest[1:]) if rest[0].goes_on and rest[1:] else None)

    def around(rest: list[Step]) -> Any:
        if rest:
            ran.append(rest[0])
            return (rest[0], around(rest[1:]) if rest[0].goes_on else None)
        ran.extend(role["before"])
        value = primary(role["primary"])
        ran.extend(reversed(role["after"]))
        return value

    return (ran, around(role["around"])) if role["primary"] else ([], NoApplicableMethodError)


def build(steps: list[Step], ran: list[Step], arity: int) -> GenericFunction[..., Any]:
    @generic
    def one(a: Any, /) -> Any: ...

    @generic
    def two(a: Any, b: Any, /) -> Any: ...

    function = (one, two)[arity - 1]
    for step in steps:
        function.add(step.classes, body(step, ran), step.qualifier)
    return function


def body(step: Step, ran: list[Step]) -> Callable[..., Any]:
    def asking(call_next_method: Any, *args: Any) -> Any:
        ran.append(step)
        return (step, call_next_method(*args) if step.goes_on and call_next_method else None)

    def plain(*args: Any) -> Any:
        ran.append(step)
        return (step, None)

    return asking if step.qualifier == "around" or step.goes_on else plain


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Step], tuple[type, ...]]:
    arity = draw(st.integers(1, 2))
    places = st.tuples(*[st.sampled_from(CLASSES)] * arity)
    keys = draw(st.lists(st.tuples(st.sampled_from(QUALIFIERS), places), max_size=12, unique=True))
    steps = [
        Step(qualifier, classes, qualifier in ("around", "primary") and draw(st.booleans()))
        for qualifier, classes in keys
    ]
    return steps, draw(st.tuples(*[st.sampled_from(CLASSES)] * arity))


@settings(max_examples=examples(300))
@given(cases())
def test_methods_run_in_the_standard_order(case: Any) -> None:
    steps, types = case
    ran: list[Step] = []
    function = build(steps, ran, len(types))
    arguments = [each() for each in types]
    try:
        value = function(*arguments)
    except DispatchError as error:
        value = type(error)
    assert (ran, value) == expected(steps, types)
    if value is not NoApplicableMethodError:
        listed = [(m.qualifier, m.classes) for m in function.methods(*types)]
        assert [key for key in listed if key in {(s.qualifier, s.classes) for s in ran}] == [
            (s.qualifier, s.classes) for s in ran
        ]


@generic
def trace(thing: Any, log: list[str], /, *rest: Any, suffix: str = "") -> str:
    """Say what ran."""
    raise NotImplementedError


@trace.register(A)
def trace_a(thing: A, log: list[str], *rest: Any, suffix: str = "") -> str:
    log.append(f"a{suffix}")
    return "a"


@trace.register(B)
def trace_b(call_next_method: Any, thing: B, log: list[str], *rest: Any, suffix: str = "") -> str:
    return "b" + call_next_method(thing, log, *rest, suffix="!" + suffix)


@trace.before(B)
def trace_before(thing: B, log: list[str], *rest: Any, suffix: str = "") -> None:
    log.append(f"before{rest}{suffix}")


@trace.after(object)
def trace_after(thing: Any, log: list[str], *rest: Any, suffix: str = "") -> str:
    log.append("after")
    return "dropped"


def test_extra_arguments_reach_every_method_and_the_next_gets_what_it_is_given() -> None:
    log: list[str] = []
    assert trace(B(), log, 1, suffix="?") == "ba"
    assert log == ["before(1,)?", "a!?", "after"]


def test_a_next_method_may_be_called_twice_or_with_another_object() -> None:
    @generic
    def walk(thing: Any, /) -> Any: ...

    @walk.register(A)
    def walk_a(thing: A) -> list[A]:
        return [thing]

    @walk.register(B)
    def walk_b(call_next_method: Any, thing: B) -> list[A]:
        return [*call_next_method(thing), *call_next_method(other)]

    thing, other = B(), A()
    assert walk(thing) == [thing, other]


def test_the_last_method_has_a_false_next_that_says_so_when_called() -> None:
    @generic
    def last(thing: Any, /) -> Any: ...

    @last.register(A)
    def only(call_next_method: Any, thing: A) -> Any:
        return bool(call_next_method) or call_next_method(thing)

    with pytest.raises(NoNextMethodError, match=r"last\(D\) has no next method; ask `if call_next"):
        last(D())


def test_an_around_method_has_a_next_even_where_the_primary_has_none() -> None:
    @generic
    def wrapped(thing: Any, /) -> Any: ...

    @wrapped.around(object)
    def outer(call_next_method: Any, thing: Any) -> Any:
        return bool(call_next_method), call_next_method(thing)

    @wrapped.register(A)
    def inner(call_next_method: Any, thing: A) -> Any:
        return bool(call_next_method)

    assert wrapped(A()) == (True, False)


def test_an_ambiguity_counts_only_where_it_is_reached() -> None:
    @generic
    def size(thing: Any, /) -> Any: ...

    for cls, letter in ((Sized, "s"), (Iterable, "i")):
        size.add((cls,), lambda thing, letter=letter: letter)

    @size.register(dict)
    def of_dict(call_next_method: Any, thing: dict[Any, Any]) -> Any:
        return call_next_method(thing) if thing else bool(call_next_method)

    assert size({}) is True
    with pytest.raises(AmbiguousMethodError, match=r"Sized.* or .*Iterable"):
        size({1: 1})
    with pytest.raises(AmbiguousMethodError):
        size([])


@pytest.mark.parametrize("qualifier", ["before", "after"])
def test_befores_whose_order_is_open_are_refused(qualifier: str) -> None:
    @generic
    def act(thing: Any, /) -> Any: ...

    @act.register(object)
    def main(thing: Any) -> None: ...

    for cls in (Sized, Iterable):
        getattr(act, qualifier)(cls)(lambda thing, cls=cls: cls)
    with pytest.raises(AmbiguousMethodError):
        act([])
    assert act(1) is None


def test_only_auxiliary_methods_are_no_answer() -> None:
    @generic
    def act(thing: Any, /) -> Any: ...

    act.around(object)(lambda call_next_method, thing: 1)
    act.before(A)(lambda thing: 2)
    match = r"no primary method .*test_combination.A\), only around and before methods do;"
    with pytest.raises(NoApplicableMethodError, match=match):
        act(A())


def test_a_plain_method_is_cached_as_it_is() -> None:
    @generic
    def plain(thing: Any, /) -> Any: ...

    @plain.register(A)
    def method(thing: A) -> None: ...

    assert plain.dispatch(B) is method


def test_every_order_of_registration_composes_the_same() -> None:
    keys = [(q, (c,)) for q in QUALIFIERS for c in (A, B)]
    seen = set()
    for order in itertools.islice(itertools.permutations(keys), 0, None, 997):
        ran: list[Step] = []
        build([Step(q, c, q in ("around", "primary")) for q, c in order], ran, 1)(D())
        seen.add(tuple(step[:2] for step in ran))
    assert len(seen) == 1

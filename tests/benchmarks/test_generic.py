"""What 1,000 cached calls cost beside stock multipledispatch and singledispatch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from multipledispatch.dispatcher import Dispatcher

from caten_sd.dispatch.generic import generic

Race = Callable[..., Any]


def method(*args: Any) -> None: ...


@generic
def one(a: Any, /) -> Any: ...


@generic
def two(a: Any, b: Any, /) -> Any: ...


@generic
def three(a: Any, b: Any, c: Any, /) -> Any: ...


@generic
def going_on(a: Any, /) -> Any: ...


@going_on.register(int)
def asking(call_next_method: Any, a: int) -> Any:
    return call_next_method(a)


for function in (one, two, three, going_on):
    function.register(*[object] * function.arity)(method)


def thousand(function: Callable[..., Any], arity: int) -> Callable[[], None]:
    arguments = (1,) * arity

    def run() -> None:
        for _ in range(1000):
            function(*arguments)

    return run


@pytest.mark.parametrize("ours", [one, two, three], ids=lambda each: each.__name__)
def test_a_cached_call(race: Race, ours: Any) -> None:
    stock = Dispatcher("stock")
    stock.add((object,) * ours.arity, method)
    what = f"cached call on {ours.arity}, stock multipledispatch"
    race(what, thousand(ours, ours.arity), thousand(stock, ours.arity), 1.1, pairs=51)


def test_a_cached_call_beside_singledispatch(race: Race) -> None:
    stock = functools.singledispatch(method)
    race("cached call on 1, singledispatch", thousand(one, 1), thousand(stock, 1), 1.1, pairs=51)


def test_a_method_and_its_next_beside_a_method_alone(race: Race) -> None:
    race("a method and its next, a method alone", thousand(going_on, 1), thousand(one, 1), 1.5, 51)

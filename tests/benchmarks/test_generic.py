"""What a cached call costs, beside stock multipledispatch and singledispatch in the same run.

Run with ``pytest tests/benchmarks/test_generic.py --benchmark-enable -m ''``: the figure in
brackets is the ratio to the fastest of a group.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from multipledispatch.dispatcher import Dispatcher
from pytest_benchmark.fixture import BenchmarkFixture

from caten_sd.generic import generic


@generic
def one(a: Any, /) -> Any: ...


@generic
def two(a: Any, b: Any, /) -> Any: ...


@generic
def three(a: Any, b: Any, c: Any, /) -> Any: ...


@generic
def four(a: Any, b: Any, c: Any, d: Any, /) -> Any: ...


@generic
def going_on(a: Any, /) -> Any: ...


@generic
def framed(a: Any, /) -> Any: ...


def method(*args: Any) -> None: ...


@going_on.register(int)
def asking(call_next_method: Any, a: int) -> Any:
    return call_next_method(a)


OURS = (one, two, three, four)
for function in (*OURS, going_on, framed):
    function.register()(method)
framed.before(int)(method)
framed.around(int)(asking)


def stock(arity: int) -> Callable[..., Any]:
    dispatcher = Dispatcher("stock")
    dispatcher.add((object,) * arity, method)
    return dispatcher  # type: ignore[no-any-return]


def loop(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    for _ in range(1000):
        function(*arguments)


@pytest.mark.parametrize("arity", [1, 2, 3, 4])
@pytest.mark.parametrize("who", ["ours", "stock"])
def test_a_cached_call(benchmark: BenchmarkFixture, who: str, arity: int) -> None:
    benchmark.group = f"1000 cached calls on {arity}"
    benchmark(loop, OURS[arity - 1] if who == "ours" else stock(arity), (1,) * arity)


@pytest.mark.parametrize("who", ["a plain call", "singledispatch", "next", "around and before"])
def test_other_calls(benchmark: BenchmarkFixture, who: str) -> None:
    benchmark.group = "1000 cached calls on 1, others"
    others = {
        "a plain call": method,
        "singledispatch": functools.singledispatch(method),
        "next": going_on,
        "around and before": framed,
    }
    benchmark(loop, others[who], (1,))

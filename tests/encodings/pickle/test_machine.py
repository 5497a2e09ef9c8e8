from __future__ import annotations

import pickle
import sys
from argparse import Namespace
from typing import Any

from caten_sd.encodings.pickle.interpreter import unpickle
from caten_sd.state.header_memory import CONTAINER, TUPLE, HeaderMemory


def read(data: bytes, **options: Any) -> Any:
    return unpickle(data, source_name="a.pkl", **options).value


def test_one_name_is_one_reference() -> None:
    found = read(pickle.dumps([Namespace, Namespace, {Namespace: 1}]))
    assert found[0] is found[1]
    assert found[2] == {found[0]: 1}


def test_an_allowed_name_gives_the_function_or_value_it_maps_to() -> None:
    data = pickle.dumps((complex(1, 2), sys.intern), 2)
    found = read(
        data,
        allowed={("builtins", "complex"): lambda *args: args, ("builtins", "intern"): "a value"},
    )
    assert found == ((1.0, 2.0), "a value")


CALLED = b"cm\nf\n(K\1K\2t\x85R."  # m.f((1, 2))


def test_a_call_that_returns_its_tuple_takes_no_memory_but_the_tuples() -> None:
    memory = HeaderMemory("a.pkl", 0)
    before = memory.left
    allowed = {("m", "f"): lambda values: values}
    assert read(CALLED, allowed=allowed, memory=memory) == (1, 2)
    assert before + 8 * len(CALLED) - memory.left == 2 * TUPLE + 2 * CONTAINER  # and the name


def test_a_call_that_copies_its_tuple_takes_twice_the_memory_of_the_copy() -> None:
    memory = HeaderMemory("a.pkl", 0)
    before = memory.left
    assert read(CALLED, allowed={("m", "f"): list}, memory=memory) == [1, 2]
    assert before + 8 * len(CALLED) - memory.left == 2 * TUPLE + 3 * CONTAINER + 2 * 16

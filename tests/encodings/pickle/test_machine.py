from __future__ import annotations

import pickle
import sys
from argparse import Namespace
from typing import Any

from caten_sd.encodings.pickle.interpreter import unpickle


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

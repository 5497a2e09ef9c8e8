"""JSON that every parser takes, whatever a file holds."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.state.json_values import MOST_NESTED, json_values

texts = st.text(st.characters(codec=None))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary()
keys = texts | st.integers() | st.booleans() | st.none()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


def json_text(value: Any) -> str:
    return json.dumps(json_values(value), allow_nan=False)


def strict(text: str) -> Any:
    def constant(name: str) -> NoReturn:
        raise AssertionError(f"{name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        for each in pairs:
            each[0].encode()
        return dict(pairs)

    return json.loads(text, parse_constant=constant, object_pairs_hook=unique)


@given(values)
def test_any_value_is_json(value: Any) -> None:
    text = json_text(value)
    assert text.isascii()
    strict(text)


@given(st.dictionaries(st.text(), st.integers(-(2**63), 2**64 - 1) | st.text() | st.booleans()))
def test_what_json_can_hold_stays_as_it_is(value: dict[str, Any]) -> None:
    assert strict(json_text(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (np.float64("nan"), "NaN"),
        (np.float32(2), "2.0"),
        (2**64 - 1, 2**64 - 1),
        (2**64, "0x10000000000000000"),
        ([10**5_000], [hex(10**5_000)]),
        ({10**5_000: 1}, {hex(10**5_000): 1}),
        ("a\ud800", "'a\\ud800'"),
        ({1: "int", "1": "text"}, {"1": "int", "1 (2)": "text"}),
        ({"\ud800": 1, "'\\ud800'": 2}, {"'\\ud800'": 1, "'\\ud800' (2)": 2}),
        ((1, [2]), [1, [2]]),
        (b"\x1b", "b'\\x1b'"),
    ],
)
def test_the_rule_for_what_json_cannot_hold(value: Any, expected: Any) -> None:
    assert strict(json_text(value)) == expected


def test_a_value_nested_without_bound_ends() -> None:
    value: Any = []
    for _ in range(100 * MOST_NESTED):
        value = [value]
    strict(json_text(value))

"""Values of Python and of numpy: which are flags, numbers, texts, and several of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from caten_sd.state.value_kinds import are_all, is_flag, is_number, is_text, is_whole

TESTS = (is_text, is_flag, is_whole, is_number)


@pytest.mark.parametrize(
    ("value", "tests"),
    [
        ("a", {is_text}),
        (True, {is_flag, is_whole, is_number}),
        (np.True_, {is_flag}),
        (3, {is_whole, is_number}),
        (np.int64(3), {is_whole, is_number}),
        (3.0, {is_number}),
        (np.float32(3), {is_number}),
        (Fraction(1, 3), {is_number}),
        (3j, set()),
        (b"a", set()),
        (None, set()),
        (bool, set()),
    ],
)
def test_which_kinds_a_value_is_of(value: Any, tests: set[Callable[[Any], bool]]) -> None:
    assert {test for test in TESTS if test(value)} == tests


def test_what_can_be_walked_once_is_not_walked() -> None:
    once = iter(["a", 1])
    assert are_all(once, is_text)
    assert list(once) == ["a", 1]
    assert not any(are_all(each, is_text) for each in ("ab", b"ab", bytearray(b"ab"), None, 3))
    assert are_all([], is_text)
    assert are_all({"a": 1}, is_text)

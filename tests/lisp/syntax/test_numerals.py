from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import SingleFloat, SourcePlace
from caten_sd.lisp.syntax.numerals import number, single

PLACE = SourcePlace("net.lisp", 1, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3.", -3),
        ("+5", 5),
        ("7/2", Fraction(7, 2)),
        ("-4/2", -2),
        ("1d-5", 1e-5),
        ("1.5D0", 1.5),
        (".25", 0.25),
        ("-1.5", -1.5),
        ("1e2", 100.0),
        ("1.f0", 1.0),
    ],
)
def test_numbers(text: str, value) -> None:
    found = number(text, PLACE)
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize("text", ["1+", "1-", "+", "-", "a1", "1a", "1/", "/2", "1e", "e5", "--1"])
def test_names_that_look_like_numbers(text: str) -> None:
    assert number(text, PLACE) is None


@pytest.mark.parametrize("text", ["1e-5", "0.1", "1e10", "3.4e38", "1.0e-40"])
def test_a_float_is_single_unless_it_says_double(text: str) -> None:
    found = number(text, PLACE)
    assert isinstance(found, SingleFloat)
    assert found == float(np.float32(text))
    assert not isinstance(
        number(text.replace("e", "d") + "d0" * ("e" not in text), PLACE), SingleFloat
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("1/0", "another"), ("1e39", "d for e"), ("1e-60", "d for e"), ("1d999", "smaller")],
)
def test_a_number_that_does_not_exist_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(LispError, match=rf"net\.lisp:1:1: .*{text}.*{remedy}"):
        number(text, PLACE)


@pytest.mark.parametrize("text", ["9" * 5_000, "1/" + "9" * 5_000, "-" + "9" * 5_000])
def test_a_number_of_many_digits_is_refused(text: str) -> None:
    with pytest.raises(LispError, match="digits"):
        number(text, PLACE)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_single_is_numpys_float32(value: float) -> None:
    assert single(value) == np.float32(value)
    assert single(value * 0.1) == np.float32(value * 0.1)

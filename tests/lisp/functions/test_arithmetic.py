from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.lisp.functions.arithmetic import FUNCTIONS as ARITHMETIC
from caten_sd.lisp.functions.rounding import FUNCTIONS as ROUNDING
from caten_sd.lisp.syntax.datum import SingleFloat, literal_text, single
from tests.lisp.forms import evaluated, refused


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("(+)", 0),
        ("(*)", 1),
        ("(- 3)", -3),
        ("(- 9 2 3)", 4),
        ("(/ 7 2)", Fraction(7, 2)),
        ("(/ 4 2)", 2),
        ("(/ 3)", Fraction(1, 3)),
        ("(+ 1/2 1/2)", 1),
        ("(floor 7 2)", 3),
        ("(floor -7 2)", -4),
        ("(ceiling 7 2)", 4),
        ("(truncate -7 2)", -3),
        ("(round 7/2)", 4),
        ("(round 5/2)", 2),
        ("(floor 2.5)", 2),
        ("(multiple-value-list (floor 7 2))", [3, 1]),
        ("(multiple-value-list (truncate -7 2))", [-3, -1]),
        ("(mod -7 2)", 1),
        ("(rem -7 2)", -1),
        ("(expt 2 10)", 1024),
        ("(expt 2 -2)", Fraction(1, 4)),
        ("(ash 5 2)", 20),
        ("(ash 5 -1)", 2),
        ("(isqrt 17)", 4),
        ("(gcd 12 18)", 6),
        ("(abs -3/2)", Fraction(3, 2)),
        ("(signum -2)", -1),
        ("(max 1 5/2 2)", Fraction(5, 2)),
        ("(min 3 1)", 1),
        ("(1+ 1/2)", Fraction(3, 2)),
        ("(1- 3)", 2),
        ("(coerce 1/2 'double-float)", 0.5),
        ("(sqrt 16)", 4.0),
        ("(log 8 2)", 3.0),
        ("(= 1 1.0)", True),
        ("(/= 1 2 1)", None),
        ("(< 1 2 3)", True),
        ("(>= 2 2 3)", None),
        ("(zerop 0.0)", True),
        ("(evenp 3)", None),
        ("(oddp -3)", True),
        ("(integerp 2.0)", None),
        ("(numberp t)", None),
    ],
)
def test_values(form: str, value: object) -> None:
    found = evaluated(form)
    assert found == value
    assert isinstance(found, type(value))


def test_a_float_is_single_unless_a_double_takes_part() -> None:
    assert evaluated("(* 2 1e-5)") == np.float32(2) * np.float32(1e-5)
    assert isinstance(evaluated("(+ 1/3 0.5)"), SingleFloat)
    assert isinstance(evaluated("(sqrt 2)"), SingleFloat)
    assert evaluated("(sqrt 2d0)") == math.sqrt(2)
    assert not isinstance(evaluated("(+ 1e0 1d0)"), SingleFloat)
    assert evaluated("(+ 1e-5 0d0)") == float(np.float32(1e-5))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("(/ 1 0)", "zero"),
        ("(+ 1 nil)", "nil is not a number"),
        ("(+ 1 t)", "t is not a number"),
        ("(floor 'a)", "a is not a number"),
        ("(evenp 1.5)", "1.5 is not an integer"),
        ("(sqrt -1)", "fails"),
        ("(* 1e38 1e38)", "32 bits"),
        ("(* 1d300 1d300)", "not a finite number"),
        ("(max)", "at least 1 argument"),
        ("(floor 1 2 3)", "takes 1 to 2"),
        ("(expt 10 1000000000)", "bits"),
        ("(ash 1 1000000000)", "bits"),
        ("(coerce 3 'integer)", "double-float"),
        ("(let ((x 3)) (loop repeat 99 do (setf x (* x x))) x)", "bits"),
    ],
)
def test_refusals(form: str, said: str) -> None:
    assert said in refused(form)


FUNCTIONS = {**ARITHMETIC, **ROUNDING}
NUMBERS = st.integers(-1000, 1000) | st.fractions(-50, 50, max_denominator=20)
EXACT = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: Fraction(a) / b,
    "FLOOR": lambda a, b: math.floor(Fraction(a) / b),
    "CEILING": lambda a, b: math.ceil(Fraction(a) / b),
    "TRUNCATE": lambda a, b: math.trunc(Fraction(a) / b),
    "ROUND": lambda a, b: round(Fraction(a) / b),
    "MOD": lambda a, b: a - b * math.floor(Fraction(a) / b),
    "REM": lambda a, b: a - b * math.trunc(Fraction(a) / b),
}


@given(st.sampled_from(sorted(EXACT)), NUMBERS, NUMBERS.filter(bool))
def test_ratios_are_exact(name: str, first: Fraction, second: Fraction) -> None:
    found = FUNCTIONS[name](first, second)
    value = found[0] if isinstance(found, tuple) else found
    assert value == EXACT[name](first, second)
    assert not isinstance(value, float)
    assert isinstance(value, int) or value.denominator > 1


FLOATS = st.floats(-1e6, 1e6, width=32)


@given(st.sampled_from(["+", "-", "*", "/"]), FLOATS, FLOATS.filter(lambda x: abs(x) > 1e-6))
def test_single_floats_are_numpys(name: str, first: float, second: float) -> None:
    a, b = np.float32(first), np.float32(second)
    expected = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[name]
    assert FUNCTIONS[name](single(first), single(second)) == expected


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_text_of_a_float_reads_back(value: float) -> None:
    assert evaluated(literal_text(single(value))) == value
    assert evaluated(literal_text(value)) == value

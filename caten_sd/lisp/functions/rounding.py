"""Division that leaves a remainder, as SBCL does it: a float is divided as a float."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from caten_sd.lisp.functions.arithmetic import (
    Number,
    add,
    as_float,
    checked_number,
    divide,
    magnitude,
    multiply,
    subtract,
)
from caten_sd.lisp.functions.lisp_values import Function, MultipleValues


def truncated(number: Number, by: Number) -> tuple[int, Number]:
    """Return the quotient rounded to zero, and the remainder."""
    if isinstance(number, Fraction) and isinstance(by, float):
        quotient, _ = truncated(number.numerator, multiply(number.denominator, by))
    else:
        quotient = math.trunc(divide(number, by))
    divisor = multiply(by, as_float(1, number)) if isinstance(number, float) else by
    return quotient, subtract(number, multiply(quotient, divisor))


def _floored(number: Number, by: Number) -> tuple[int, Number]:
    quotient, left = truncated(number, by)
    if left and (number > 0 if by < 0 else number < 0):
        return quotient - 1, add(left, by)
    return quotient, left


def _raised(number: Number, by: Number) -> tuple[int, Number]:
    quotient, left = truncated(number, by)
    if left and (number < 0 if by < 0 else number > 0):
        return quotient + 1, subtract(left, by)
    return quotient, left


def _nearest(number: Number, by: Number) -> tuple[int, Number]:
    """Return the nearest quotient, the even one of two, and what is left."""
    quotient, left = truncated(number, by)
    half, size = divide(magnitude(by), 2), magnitude(left)
    if size < half or (size == half and quotient % 2 == 0):
        return quotient, left
    away = 1 if (left > 0) == (by > 0) else -1
    return quotient + away, subtract(left, multiply(away, by))


def _with_remainder(divided: Function) -> Function:
    def values(value: Any, divisor: Any = 1) -> MultipleValues:
        return MultipleValues(divided(checked_number(value), checked_number(divisor)))

    return values


def modulo(value: Any, divisor: Any) -> Number:
    """Return the remainder that has the sign of the divisor."""
    return _floored(checked_number(value), checked_number(divisor))[1]


def remainder(value: Any, divisor: Any) -> Number:
    """Return the remainder that has the sign of the value."""
    return truncated(checked_number(value), checked_number(divisor))[1]


FUNCTIONS: Mapping[str, Function] = {
    "FLOOR": _with_remainder(_floored),
    "CEILING": _with_remainder(_raised),
    "ROUND": _with_remainder(_nearest),
    "TRUNCATE": _with_remainder(truncated),
    "MOD": modulo,
    "REM": remainder,
}

"""Functions of numbers: ratios are exact, a float is single unless a double takes part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.syntax.datum import SingleFloat, Symbol, single

MOST_BITS = 4_096  # of an integer

Number: TypeAlias = "int | Fraction | float"


def checked_number(value: Any) -> Number:
    """Return a number; ModelError for any other value, t and nil included."""
    if isinstance(value, (int, Fraction, float)) and not isinstance(value, bool):
        return value
    raise ModelError(f"{text_of(value)} is not a number; pass a number")


def checked_integer(value: Any) -> int:
    """Return an integer; ModelError for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ModelError(f"{text_of(value)} is not an integer; round it, or pass another number")


def checked_ratio(value: Any) -> int | Fraction:
    """Return an integer or a ratio; ModelError for any other value."""
    if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
        return value
    raise ModelError(f"{text_of(value)} is not an integer or a ratio; pass one")


def plain(value: Number) -> Number:
    """Return a ratio that is whole as an integer."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def _floats(*values: Number) -> Callable[[float], float] | None:
    """Return what rounds the result of an operation on these, or None if it is exact."""
    kinds = [type(each) for each in values]
    if float in kinds:
        return _finite
    return single if SingleFloat in kinds else None


def _finite(value: float) -> float:
    if math.isinf(value) or math.isnan(value):
        raise OverflowError("the result is not a finite number")
    return value


def _operated(operation: Callable[[Any, Any], Any], first: Number, second: Number) -> Number:
    rounded = _floats(first, second)
    if rounded is not None:
        return rounded(operation(rounded(float(first)), rounded(float(second))))
    return plain(operation(first, second))


def _add(first: Number, second: Number) -> Number:
    return _operated(lambda a, b: a + b, first, second)


def _multiply(first: Number, second: Number) -> Number:
    _check_bits(first, second)
    return _operated(lambda a, b: a * b, first, second)


def _divide(first: Number, second: Number) -> Number:
    _check_bits(first, second)
    return _operated(
        lambda a, b: Fraction(a) / b if _floats(first, second) is None else a / b, first, second
    )


def _check_bits(*values: Number) -> None:
    ratios = [each for each in values if isinstance(each, (int, Fraction))]
    if sum(each.numerator.bit_length() + each.denominator.bit_length() for each in ratios) > (
        MOST_BITS
    ):
        raise ModelError(f"a number has more than {MOST_BITS:,} bits; calculate with a smaller one")


def add(*values: Any) -> Number:
    """Return the sum; that of one number is the number, also where it is -0.0."""
    return reduce(_add, map(checked_number, values or (0,)))


def multiply(*values: Any) -> Number:
    """Return the product."""
    return reduce(_multiply, map(checked_number, (1, *values)))


def subtract(first: Any, *rest: Any) -> Number:
    """Return the difference, or the number with the other sign."""
    if not rest:
        return _multiply(-1, checked_number(first))
    return reduce(lambda a, b: _add(a, _multiply(-1, b)), map(checked_number, (first, *rest)))


def divide(first: Any, *rest: Any) -> Number:
    """Return the quotient, or one divided by the number."""
    values = [checked_number(each) for each in ((first, *rest) if rest else (1, first))]
    return reduce(_divide, values)


def power(base: Any, exponent: Any) -> Number:
    """Return the power; that of a ratio and an integer is exact."""
    base, exponent = checked_number(base), checked_number(exponent)
    if isinstance(exponent, int) and isinstance(base, (int, Fraction)):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits > 1 and bits * abs(exponent) > MOST_BITS:
            raise ModelError(f"a power has more than {MOST_BITS:,} bits; take a smaller exponent")
        return plain(Fraction(base) ** exponent)
    if not exponent and not (base or isinstance(exponent, int)):
        raise ModelError("zero to the power of a float zero has no value; take another exponent")
    return rounded_float(math.pow, base, exponent)


def shift(value: Any, count: Any) -> int:
    """Return the integer with its bits shifted, to the left if the count is positive."""
    bits, by = checked_integer(value), checked_integer(count)
    if by > MOST_BITS:
        raise ModelError(f"a shift by {by} bits is more than {MOST_BITS:,}; shift less")
    return bits << by if by >= 0 else bits >> -by


def rounded_float(function: Callable[..., float], *values: Number) -> float:
    """Return what a function of floats gives, which is calculated in 64 bits and then rounded."""
    return (_floats(*values) or single)(function(*map(float, values)))


def _real(function: Callable[[float], float]) -> Function:
    return lambda value: rounded_float(function, checked_number(value))


_NATURAL: Any = object()
_LOG2_OF_E = math.log(math.exp(1)) / math.log(2)


def logarithm(value: Any, base: Any = _NATURAL) -> Number:
    """Return the logarithm, the natural one unless a base is given."""
    number = checked_number(value)
    if base is _NATURAL:
        return rounded_float(lambda _: _natural_logarithm(number), number)
    by = checked_number(base)
    if {type(number), type(by)} == {int, float}:
        return (_floats(number, by) or single)(_logarithm_of_2(number) / _logarithm_of_2(by))
    return _divide(logarithm(number), logarithm(by))


def _natural_logarithm(value: Number) -> float:
    """Return the logarithm by the steps of SBCL, whose last bits are its own."""
    if isinstance(value, float):
        return math.log(value)
    above, below = value.numerator, value.denominator
    if below > 1 and above.bit_length() == below.bit_length():
        return math.log1p(value - 1)
    return (_logarithm_of_2(above) - _logarithm_of_2(below)) / _LOG2_OF_E


def _logarithm_of_2(value: Number) -> float:
    return math.log(value) / math.log(2)


def magnitude(value: Any) -> Number:
    """Return a number without its sign."""
    number = checked_number(value)
    if isinstance(number, SingleFloat):
        return SingleFloat(abs(number))
    return checked_number(abs(number))


def _compared(holds: Callable[[Any, Any], bool]) -> Function:
    def every(first: Any, *rest: Any) -> bool | None:
        values = [checked_number(each) for each in (first, *rest)]
        return all(map(holds, values, values[1:])) or None

    return every


def _all_different(*values: Any) -> bool | None:
    return len(set(map(checked_number, values))) == len(values) or None


def _extreme(choose: Callable[[Sequence[Number]], Number]) -> Function:
    def chosen(first: Any, *rest: Any) -> Number:
        return choose([checked_number(each) for each in (first, *rest)])

    return chosen


def _tested(holds: Callable[[Any], bool], check: Function = checked_number) -> Function:
    return lambda value: holds(check(value)) or None


def _is_kind(*kinds: type) -> Function:
    return lambda value: (isinstance(value, kinds) and not isinstance(value, bool)) or None


def as_float(value: Any, prototype: Any = None) -> float:
    """Return a number as a float: single unless it or the prototype is a double."""
    number = checked_number(value)
    if isinstance(number, float) and prototype is None:
        return number
    return (_floats(*([] if prototype is None else [checked_number(prototype)])) or single)(
        float(number)
    )


def coerce(value: Any, kind: Any) -> Any:
    """Return a number as the kind of float that a symbol names."""
    name = kind.name if isinstance(kind, Symbol) else text_of(kind)
    if name == "FLOAT":
        return as_float(value)
    if name == "SINGLE-FLOAT":
        return single(float(checked_number(value)))
    if name == "DOUBLE-FLOAT":
        return float(checked_number(value))
    raise ModelError(f"coerce to {name.lower()} is not known; coerce to float or double-float")


def _integers(function: Callable[..., int]) -> Function:
    return lambda *values: function(*map(checked_integer, values))


FUNCTIONS: Mapping[str, Function] = {
    "+": add,
    "*": multiply,
    "-": subtract,
    "/": divide,
    "1+": lambda value: _add(checked_number(value), 1),
    "1-": lambda value: _add(checked_number(value), -1),
    "MIN": _extreme(min),
    "MAX": _extreme(max),
    "ABS": magnitude,
    "EXPT": power,
    "SQRT": _real(math.sqrt),
    "EXP": _real(math.exp),
    "SIN": _real(math.sin),
    "COS": _real(math.cos),
    "TAN": _real(math.tan),
    "TANH": _real(math.tanh),
    "LOG": logarithm,
    "ASH": shift,
    "ISQRT": _integers(math.isqrt),
    "GCD": _integers(math.gcd),
    "LCM": _integers(math.lcm),
    "SIGNUM": lambda value: _divide(value, magnitude(value)) if checked_number(value) else value,
    "NUMERATOR": lambda value: checked_ratio(value).numerator,
    "DENOMINATOR": lambda value: checked_ratio(value).denominator,
    "FLOAT": as_float,
    "COERCE": coerce,
    "=": _compared(lambda a, b: a == b),
    "/=": _all_different,
    "<": _compared(lambda a, b: a < b),
    ">": _compared(lambda a, b: a > b),
    "<=": _compared(lambda a, b: a <= b),
    ">=": _compared(lambda a, b: a >= b),
    "ZEROP": _tested(lambda value: value == 0),
    "PLUSP": _tested(lambda value: value > 0),
    "MINUSP": _tested(lambda value: value < 0),
    "EVENP": _tested(lambda value: value % 2 == 0, checked_integer),
    "ODDP": _tested(lambda value: value % 2 == 1, checked_integer),
    "NUMBERP": _is_kind(int, Fraction, float),
    "REALP": _is_kind(int, Fraction, float),
    "INTEGERP": _is_kind(int),
    "RATIONALP": _is_kind(int, Fraction),
    "FLOATP": _is_kind(float),
}

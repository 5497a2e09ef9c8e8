"""Numbers as text: integers, ratios, single and double floats."""

from __future__ import annotations

import re
from fractions import Fraction

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import SourcePlace, single

MOST_DIGITS = 1_000  # of a number; Python itself refuses to convert more than 4,300

_INTEGER = re.compile(r"[+-]?[0-9]+\.?")
_RATIO = re.compile(r"[+-]?[0-9]+/[0-9]+")
_FLOAT = re.compile(
    r"(?P<digits>[+-]?(?:[0-9]*\.[0-9]+|[0-9]+(?:\.[0-9]*)?(?=[esfdlESFDL])))"
    r"(?:(?P<kind>[esfdlESFDL])(?P<exponent>[+-]?[0-9]+))?"
)


def number(token: str, place: SourcePlace) -> int | Fraction | float | None:
    """Return the number that a token is, or None if it is not one.

    >>> number("1/2", SourcePlace("a", 1, 1)), number("1+", SourcePlace("a", 1, 1))
    (Fraction(1, 2), None)
    >>> number("1e-5", SourcePlace("a", 1, 1)), number("1d-5", SourcePlace("a", 1, 1))
    (9.999999747378752e-06, 1e-05)
    """
    if not token[-1].isdigit() and token[-1] != ".":
        return None
    if len(token) > MOST_DIGITS and token.lstrip("+-")[:1].isdigit():
        raise LispError(place, f"a number has more than {MOST_DIGITS:,} digits", "write fewer")
    if _INTEGER.fullmatch(token):
        return int(token.rstrip("."))
    if _RATIO.fullmatch(token):
        return _ratio(token, place)
    found = _FLOAT.fullmatch(token)
    return None if found is None else _float(found, token, place)


def _ratio(token: str, place: SourcePlace) -> int | Fraction:
    above, _, below = token.partition("/")
    if not int(below):
        raise LispError(place, f"{token} divides by zero", "write another number")
    value = Fraction(int(above), int(below))
    return value.numerator if value.denominator == 1 else value


def _float(found: re.Match[str], token: str, place: SourcePlace) -> float:
    kind = (found["kind"] or "e").lower()
    value = float(f"{found['digits']}e{found['exponent'] or 0}")
    try:
        result = value if kind in "dl" else single(value)
    except OverflowError:
        result = float("inf")
    lost = not result and re.search("[1-9]", found["digits"])
    if result in (float("inf"), float("-inf")) or lost:
        bits = 64 if kind in "dl" else 32
        remedy = "write a smaller exponent" if bits == 64 else "write d for e in it, for 64 bits"
        raise LispError(place, f"{token} is not a float of {bits} bits", remedy)
    return result

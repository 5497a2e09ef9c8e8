"""Predicates: what is true, what is equal, and which kind of value is there."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import Function, first_value, text_of
from caten_sd.lisp.functions.lists import LONGEST_LIST, is_pair, may_be_one
from caten_sd.lisp.syntax.datum import Character, Symbol


def is_true(value: Any) -> bool:
    """Return whether a value is true: all but nil are, zero and a tensor too."""
    return first_value(value) is not None


def _sign(value: Any) -> float:
    return math.copysign(1, value) if isinstance(value, float) else 1.0


def eql(first: Any, second: Any) -> bool:
    """Return whether two values are the same: numbers of one kind, one symbol, one object."""
    numbers = (int, Fraction, float)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return type(first) is type(second) and first == second and _sign(first) == _sign(second)
    if isinstance(first, (Symbol, Character)):
        return bool(first == second)
    if may_be_one(first, second):
        raise ModelError("two lists with the same items may be one list or two; compare by equal")
    return first is second


def eq(first: Any, second: Any) -> bool:
    """Return whether two values are one object."""
    if eql(first, second) and type(first) in (Fraction, float):
        raise ModelError(f"eq of {text_of(first)} and itself may be t or nil; compare by eql")
    return eql(first, second)


def equal(first: Any, second: Any) -> bool:
    """Return whether two values are equal: lists and strings by what is in them."""
    waiting, seen = [(first, second)], 0
    while waiting:
        a, b = waiting.pop()
        seen += 1
        if seen > LONGEST_LIST:
            raise ModelError(f"equal compares more than {LONGEST_LIST:,} items; compare fewer")
        if is_pair(a) and type(a) is type(b) and len(a) == len(b):
            waiting += () if a is b else zip(a, b, strict=True)
        elif not (eql(a, b) or (isinstance(a, str) and isinstance(b, str) and a == b)):
            return False
    return True


def truth(holds: Callable[..., bool]) -> Function:
    """Return the function of Lisp that gives t or nil as a function of Python gives a bool."""

    @functools.wraps(holds)
    def answer(*values: Any) -> bool | None:
        return holds(*values) or None

    return answer


FUNCTIONS: Mapping[str, Function] = {
    "NOT": truth(lambda value: value is None),
    "NULL": truth(lambda value: value is None),
    "EQ": truth(eq),
    "EQL": truth(eql),
    "EQUAL": truth(equal),
    "LISTP": truth(lambda value: value is None or is_pair(value)),
    "CONSP": truth(is_pair),
    "ATOM": truth(lambda value: not is_pair(value)),
    "SYMBOLP": truth(lambda value: value is None or value is True or isinstance(value, Symbol)),
    "KEYWORDP": truth(lambda value: isinstance(value, Symbol) and value.is_keyword),
    "STRINGP": truth(lambda value: isinstance(value, str)),
    "FUNCTIONP": truth(callable),
}

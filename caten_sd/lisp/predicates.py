"""Predicates: what is true, what is equal, and which kind of value is there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from caten_sd.errors import ModelError
from caten_sd.lisp.datum import Symbol
from caten_sd.lisp.lists import LONGEST_LIST, Pair
from caten_sd.lisp.scopes import Function, first_value


def is_true(value: Any) -> bool:
    """Return whether a value is true: all but nil are, zero and a tensor too."""
    return first_value(value) is not None


def eql(first: Any, second: Any) -> bool:
    """Return whether two values are the same: numbers of one kind, one symbol, one object."""
    numbers = (int, Fraction, float)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return type(first) is type(second) and first == second
    if isinstance(first, Symbol):
        return bool(first == second)
    return first is second


def equal(first: Any, second: Any) -> bool:
    """Return whether two values are equal: lists and strings by what is in them."""
    waiting, seen = [(first, second)], 0
    while waiting:
        a, b = waiting.pop()
        seen += 1
        if seen > LONGEST_LIST:
            raise ModelError(f"equal compares more than {LONGEST_LIST:,} items; compare fewer")
        if isinstance(a, (list, Pair)) and type(a) is type(b) and len(a) == len(b):
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
    "EQ": truth(eql),
    "EQL": truth(eql),
    "EQUAL": truth(equal),
    "LISTP": truth(lambda value: value is None or isinstance(value, (list, Pair))),
    "CONSP": truth(lambda value: isinstance(value, (list, Pair))),
    "ATOM": truth(lambda value: not isinstance(value, (list, Pair))),
    "SYMBOLP": truth(lambda value: value is None or value is True or isinstance(value, Symbol)),
    "KEYWORDP": truth(lambda value: isinstance(value, Symbol) and value.is_keyword),
    "STRINGP": truth(lambda value: isinstance(value, str)),
    "FUNCTIONP": truth(callable),
}

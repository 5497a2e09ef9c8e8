"""Predicates: what is true, what is equal, and which kind of value is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from caten_sd.lisp.datum import Symbol
from caten_sd.lisp.lists import Pair
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
    if isinstance(first, (list, Pair)) and type(first) is type(second):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, str) and isinstance(second, str):
        return first == second
    return eql(first, second)


def truth(holds: Callable[..., bool]) -> Function:
    """Return the function of Lisp that gives t or nil as a function of Python gives a bool."""
    return lambda *values: holds(*values) or None


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

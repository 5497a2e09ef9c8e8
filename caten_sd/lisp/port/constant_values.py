"""Forms that need no argument, slot or global variable: their values, written out."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions import arithmetic, destructive, lists, predicates, rounding, sequences
from caten_sd.lisp.functions.lists import is_list
from caten_sd.lisp.port.python_text.expressions import (
    NIL,
    TRUE,
    Expression,
    listed,
    number,
    text_literal,
)
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol

# What gives the same value each time and changes nothing.
_PURE: Mapping[str, object] = {
    **arithmetic.FUNCTIONS,
    **rounding.FUNCTIONS,
    **lists.FUNCTIONS,
    **predicates.FUNCTIONS,
    **destructive.FUNCTIONS,
    **sequences.FUNCTIONS,
}
_QUOTED = ("QUOTE", "FUNCTION")
_MOST_ITEMS = 64  # of a list that is written out


def constant_of(evaluator: Evaluator, datum: Datum) -> Expression | None:
    """Return the value of a form that depends on nothing, or None if it is not such a form."""
    if not isinstance(datum, Form) or not _is_pure(evaluator, datum):
        return None
    try:
        return _written(evaluator.value(datum, Scope()))
    except LispError:
        return None


def _is_pure(evaluator: Evaluator, datum: Form) -> bool:
    waiting: list[Datum] = [datum]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Symbol) and each.name in evaluator.definitions.variables:
            return False
        if isinstance(each, Form) and each.head not in _QUOTED:
            if each.head not in _PURE:
                return False
            waiting += each.rest
    return True


def _written(value: Any) -> Expression | None:
    if value is None or value is True:
        return NIL if value is None else TRUE
    if isinstance(value, (int, float, Fraction)):
        return number(value)
    if isinstance(value, str):
        return Expression(text_literal(value), "str")
    if not is_list(value) or len(value) > _MOST_ITEMS:
        return None
    items = [_written(each) for each in value]
    return None if None in items else listed(each for each in items if each is not None)

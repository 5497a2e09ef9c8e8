"""Special forms that quote data and name functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import required, undeclared
from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.evaluation.closures import Closure
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lists import Vector, items_in, list_before
from caten_sd.lisp.syntax.datum import Datum, Form, Literal, Symbol, brief, items_of, symbol_of


def quoted(datum: Datum) -> Any:
    """Return the value of a datum that is quoted."""
    if isinstance(datum, Literal):
        return datum.value
    if isinstance(datum, Symbol):
        constants = {"NIL": None, "T": True}
        return datum if datum.is_keyword else constants.get(datum.name, datum)
    if datum.head == "VECTOR-LITERAL":
        return Vector(map(quoted, items_of(required(datum, 1, "#(1 2)")[0], "a list")))
    rest = None if datum.tail is None else quoted(datum.tail)
    return list_before(rest, *map(quoted, datum.items))


def _quote(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return quoted(required(form, 1, "'value")[0])


def _vector(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return quoted(form)


def _quasiquote(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return _filled(evaluator, required(form, 1, "`value")[0], scope)


def _filled(evaluator: Evaluator, datum: Datum, scope: Scope) -> Any:
    """Return the value of a datum after a backquote: what follows a comma is evaluated."""
    if not isinstance(datum, Form):
        return quoted(datum)
    if datum.head == "VECTOR-LITERAL":
        return Vector(_filled(evaluator, required(datum, 1, "#(1 2)")[0], scope) or [])
    if datum.head == "UNQUOTE":
        return evaluator.value(required(datum, 1, ",value")[0], scope)
    if datum.head == "QUASIQUOTE":
        raise LispError(datum.place, "a backquote is within another one", "use list instead")
    items: list[Any] = []
    for each in datum.items:
        if isinstance(each, Form) and each.head == "UNQUOTE-SPLICING":
            value = evaluator.value(required(each, 1, ",@values")[0], scope)
            items += evaluator.apply(items_in, [value], each)
        else:
            items.append(_filled(evaluator, each, scope))
    rest = None if datum.tail is None else _filled(evaluator, datum.tail, scope)
    return evaluator.apply(list_before, [rest, *items], datum)


def _comma(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    raise LispError(form.place, f"{brief(form)} has no backquote before it", "remove the comma")


def _function(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    named = required(form, 1, "#'name")[0]
    if isinstance(named, Form):
        if named.head != "LAMBDA":
            raise LispError(form.place, f"{brief(named)} is not a function", "write #'name")
        return evaluator.value(named, scope)
    return evaluator.function(symbol_of(named, "the name of a function"), scope)


def _lambda(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    arguments, *body = required(form, 1, "(lambda (arguments) form ...)")
    return Closure(
        evaluator, "lambda", lambda_list(arguments), tuple(undeclared(body)), scope.capture()
    )


SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    "QUOTE": _quote,
    "QUASIQUOTE": _quasiquote,
    "UNQUOTE": _comma,
    "UNQUOTE-SPLICING": _comma,
    "VECTOR-LITERAL": _vector,
    "FUNCTION": _function,
    "LAMBDA": _lambda,
}

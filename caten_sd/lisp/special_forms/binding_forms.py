"""Special forms that bind variables and functions, and those for several values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import required, undeclared
from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.evaluation.closures import Closure
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lisp_values import MultipleValues
from caten_sd.lisp.functions.lists import as_list
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief, items_of, symbol_of


def bindings(form: Form) -> Iterator[tuple[Symbol, Datum | None]]:
    """Yield the variables of a let, each with its form."""
    for each in items_of(
        required(form, 1, f"({form.head.lower()} ((name form)) ...)")[0], "a list"
    ):
        items = (each,) if isinstance(each, Symbol) else items_of(each, "(name form)")
        if not 1 <= len(items) <= 2:
            raise LispError(each.place, f"{brief(each)} is not (name form)", "write (name form)")
        yield symbol_of(items[0], "the name of a variable"), (*items, None)[1]


def _let(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    inner = scope.inner()
    rebound: dict[str, Any] = {}
    for name, value_form in bindings(form):
        value = None if value_form is None else evaluator.value(value_form, scope)
        (rebound if evaluator.is_global(name) else inner.variables)[name.name] = value
    if not rebound:
        return evaluator.body(undeclared(form.rest[1:]), inner)
    with evaluator.rebinding(rebound):
        return evaluator.body(undeclared(form.rest[1:]), inner)


def _let_in_order(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return _bound_in_order(evaluator, list(bindings(form)), form, scope.inner())


def _bound_in_order(
    evaluator: Evaluator, left: list[tuple[Symbol, Datum | None]], form: Form, scope: Scope
) -> Any:
    for at, (name, value_form) in enumerate(left):
        value = None if value_form is None else evaluator.value(value_form, scope)
        if evaluator.is_global(name):
            with evaluator.rebinding({name.name: value}):
                return _bound_in_order(evaluator, left[at + 1 :], form, scope)
        scope = scope.then(name.name, value)
    return evaluator.body(undeclared(form.rest[1:]), scope)


def _local_functions(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    inner = scope.inner()
    around = inner if form.head == "LABELS" else scope
    for each in items_of(required(form, 1, "(flet ((name (arguments) form)) ...)")[0], "a list"):
        name, arguments, *body = _local_function(each)
        own = symbol_of(name, "the name of a function")
        inner.functions[own.name] = Closure(
            evaluator, own.name, lambda_list(arguments), tuple(undeclared(body)), around.capture()
        )
    return evaluator.body(undeclared(form.rest[1:]), inner)


def _local_function(datum: Datum) -> Sequence[Datum]:
    items = items_of(datum, "(name (arguments) form ...)")
    if len(items) < 2:
        raise LispError(
            datum.place, f"{brief(datum)} is not a function", "write (name (arguments))"
        )
    return items


def all_values(evaluator: Evaluator, datum: Datum, scope: Scope) -> tuple[Any, ...]:
    """Return all the values that a form gives."""
    found = evaluator.values(datum, scope)
    return tuple(found) if isinstance(found, MultipleValues) else (found,)


def _bind_values(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    names, values_form, *body = required(form, 2, "(multiple-value-bind (name ...) form ...)")
    found = all_values(evaluator, values_form, scope)
    inner = scope.inner()
    for at, each in enumerate(items_of(names, "a list of variables")):
        name = symbol_of(each, "the name of a variable").name
        inner.variables[name] = found[at] if at < len(found) else None
    return evaluator.body(undeclared(body), inner)


def _list_values(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return as_list(all_values(evaluator, required(form, 1, "(multiple-value-list form)")[0], scope))


def _nth_value(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    index, values_form = required(form, 2, "(nth-value index form)")[:2]
    found = all_values(evaluator, values_form, scope)
    at = evaluator.value(index, scope)
    return found[at] if isinstance(at, int) and 0 <= at < len(found) else None


SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    "LET": _let,
    "LET*": _let_in_order,
    "FLET": _local_functions,
    "LABELS": _local_functions,
    "MULTIPLE-VALUE-BIND": _bind_values,
    "MULTIPLE-VALUE-LIST": _list_values,
    "NTH-VALUE": _nth_value,
}

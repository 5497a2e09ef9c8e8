"""Special forms that choose, run in order and leave: if, case, block, return-from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import required
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import BlockExit, Scope, in_block
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.functions.predicates import eql, is_true
from caten_sd.lisp.special_forms.quotation import quoted
from caten_sd.lisp.syntax.datum import Datum, Form, Literal, Symbol, brief, is_nil, items_of


def _if(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    test, then, *otherwise = required(form, 2, "(if test then else)")
    if is_true(evaluator.value(test, scope)):
        return evaluator.values(then, scope)
    return evaluator.body(otherwise[:1], scope)


def _when(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    test, *body = required(form, 1, "(when test form ...)")
    return evaluator.body(body, scope) if is_true(evaluator.value(test, scope)) else None


def _unless(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    test, *body = required(form, 1, "(unless test form ...)")
    return None if is_true(evaluator.value(test, scope)) else evaluator.body(body, scope)


def _cond(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    for clause in form.rest:
        test, *body = _clause(clause)
        value = evaluator.value(test, scope)
        if is_true(value):
            return evaluator.body(body, scope) if body else value
    return None


def _clause(datum: Datum) -> Sequence[Datum]:
    items = items_of(datum, "a clause (test form ...)")
    if not items:
        raise LispError(datum.place, "a clause is empty", "write (test form ...)")
    return items


def _case(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    subject, *clauses = required(form, 1, f"({form.head.lower()} value (key form ...) ...)")
    value = evaluator.value(subject, scope)
    for clause in clauses:
        keys, *body = _clause(clause)
        if _has_key(keys, value, last=clause is clauses[-1]):
            return evaluator.body(body, scope)
    if form.head == "ECASE":
        raise LispError(
            form.place, f"{text_of(value)} is none of the keys of this ecase", "add a clause for it"
        )
    return None


def _has_key(keys: Datum, value: Any, *, last: bool) -> bool:
    if isinstance(keys, Symbol) and keys.name in ("T", "OTHERWISE") and not keys.is_keyword:
        if last:
            return True
        raise LispError(
            keys.place, f"a clause follows the one of {keys}", f"write (({keys}) ...), or move it"
        )
    listed = keys.items if isinstance(keys, Form) else () if is_nil(keys) else (keys,)
    return any(eql(quoted(each), value) for each in listed)


def _and(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    for each in form.rest[:-1]:
        if not is_true(evaluator.value(each, scope)):
            return None
    return evaluator.values(form.rest[-1], scope) if form.rest else True


def _or(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    for each in form.rest[:-1]:
        value = evaluator.value(each, scope)
        if is_true(value):
            return value
    return evaluator.body(form.rest[-1:], scope)


def _progn(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return evaluator.body(form.rest, scope)


def _prog1(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    first, *rest = required(form, 1, "(prog1 form ...)")
    value = evaluator.value(first, scope)
    evaluator.body(rest, scope)
    return value


def _block(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    name = required(form, 1, "(block name form ...)")[0]
    return in_block(getattr(name, "name", ""), scope, partial(evaluator.body, form.rest[1:]))


def _return_from(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    name, *value = required(form, 1, "(return-from name value)")
    return leave(evaluator, form, getattr(name, "name", ""), value, scope)


def _return(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return leave(evaluator, form, "NIL", form.rest, scope)


def leave(evaluator: Evaluator, form: Form, name: str, value: Sequence[Datum], scope: Scope) -> Any:
    """Leave the innermost block of a name with the value of a form."""
    result = evaluator.body(value[:1], scope)
    for each in scope.outwards():
        if name in each.blocks:
            raise BlockExit(each.blocks[name], result)
    raise LispError(
        form.place, f"no block around {brief(form)} is called {name.lower()}", "name a block"
    )


def _the(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return evaluator.values(required(form, 2, "(the type form)")[1], scope)


def _nothing(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    return None


def _assert(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    test, *rest = required(form, 1, "(assert test)")
    if is_true(evaluator.value(test, scope)):
        return None
    said = rest[1].value if len(rest) > 1 and isinstance(rest[1], Literal) else ""
    raise LispError(
        form.place,
        f"the file asserts {brief(test)}, which does not hold" + (f": {said}" if said else ""),
        "call the model with other values",
    )


def _error(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    said = ", ".join(text_of(evaluator.value(each, scope)) for each in form.rest)
    raise LispError(form.place, f"the file calls error: {said}", "call it with other values")


SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    "IF": _if,
    "WHEN": _when,
    "UNLESS": _unless,
    "COND": _cond,
    "CASE": _case,
    "ECASE": _case,
    "AND": _and,
    "OR": _or,
    "PROGN": _progn,
    "LOCALLY": _progn,
    "PROG1": _prog1,
    "BLOCK": _block,
    "RETURN-FROM": _return_from,
    "RETURN": _return,
    "THE": _the,
    "DECLARE": _nothing,
    "ASSERT": _assert,
    "ERROR": _error,
}

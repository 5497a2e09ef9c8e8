"""Special forms that repeat: loop with its clauses, dotimes and dolist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import required, undeclared
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope, in_block
from caten_sd.lisp.functions.arithmetic import checked_integer
from caten_sd.lisp.functions.lists import items_in
from caten_sd.lisp.special_forms.loop_checks import check_answers
from caten_sd.lisp.special_forms.loop_clauses import loop_clauses
from caten_sd.lisp.special_forms.loop_run import LoopRun
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief, items_of, symbol_of


def _over_items(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    header, *body = required(form, 1, f"({form.head.lower()} (name form) form ...)")
    parts = items_of(header, "(name form)")
    if not 2 <= len(parts) <= 3:
        raise LispError(header.place, f"{brief(header)} is not (name form)", "write (name form)")
    name, given = symbol_of(parts[0], "the name of a variable"), evaluator.value(parts[1], scope)
    items: Sequence[Any] = evaluator.apply(_ITEMS[form.head], [given], form)
    run = partial(_repeated, evaluator, form, name.name, items, undeclared(body), parts[2:])
    return in_block("NIL", scope, run)


def _repeated(
    evaluator: Evaluator,
    form: Form,
    name: str,
    items: Sequence[Any],
    body: Sequence[Datum],
    result: Sequence[Datum],
    scope: Scope,
) -> Any:
    inner = scope.inner()
    for item in items:
        evaluator.spend(1, form.place)
        inner = inner if form.head == "DOTIMES" else scope.inner()
        inner.variables[name] = item
        evaluator.body(body, inner)
    last = len(items) if isinstance(items, range) else None
    inner = inner if form.head == "DOTIMES" else scope.inner()
    inner.variables[name] = last
    return evaluator.body(result, inner)


_ITEMS: Mapping[str, Callable[[Any], Sequence[Any]]] = {
    "DOTIMES": lambda count: range(checked_integer(count)),
    "DOLIST": items_in,
}


def _loop(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    if form.rest and not isinstance(form.rest[0], Symbol):
        return in_block("NIL", scope, partial(_endless, evaluator, form))
    clauses = loop_clauses(form)
    check_answers(clauses)
    return in_block(clauses.name, scope, LoopRun(evaluator, form, clauses).run)


def _endless(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    while True:
        evaluator.spend(1, form.place)
        evaluator.body(form.rest, scope)


SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    "LOOP": _loop,
    "DOTIMES": _over_items,
    "DOLIST": _over_items,
}

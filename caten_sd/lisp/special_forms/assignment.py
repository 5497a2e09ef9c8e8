"""Special forms that set places: setf, push, incf and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caten_sd.errors import LispError, ModelError
from caten_sd.lisp.definitions.grammar import required
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.arithmetic import add, subtract
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.functions.lists import (
    Pair,
    car,
    cdr,
    checked_index,
    cons,
    items_in,
    own_items,
    share,
)
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief


def assign(evaluator: Evaluator, place: Datum, value: Any, scope: Scope) -> Any:
    """Set a variable, a slot or an item of a list to a value, and return it."""
    if isinstance(place, Symbol) and not place.is_keyword:
        evaluator.set_variable(place, scope, value)
        return value
    if not isinstance(place, Form):
        raise LispError(place.place, f"{brief(place)} cannot be set", "set a variable or a slot")
    setter = evaluator.setter(place.head)
    if setter is None:
        raise LispError(
            place.place,
            f"{brief(place)} cannot be set",
            "set a variable, a slot by slot-value or its accessor, or an item of a list",
        )
    arguments = [evaluator.value(each, scope) for each in place.rest]
    evaluator.apply(setter, [value, *arguments], place)
    return value


def _setf(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    rest, value = form.rest, None
    if len(rest) % 2:
        raise LispError(form.place, f"{brief(form)} has a place without a value", "add the value")
    for place, value_form in zip(rest[::2], rest[1::2], strict=True):
        value = assign(evaluator, place, evaluator.value(value_form, scope), scope)
    return value


def _push(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    item, place = required(form, 2, "(push item place)")[:2]
    first = evaluator.value(item, scope)
    longer = evaluator.apply(cons, [first, evaluator.value(place, scope)], form)
    return assign(evaluator, place, longer, scope)


def _pop(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    place = required(form, 1, "(pop place)")[0]
    value = evaluator.value(place, scope)
    assign(evaluator, place, evaluator.apply(cdr, [value], form), scope)
    return car(value)


def _changed_by(operation: Callable[..., Any]) -> SpecialForm:
    def change(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
        place, *by = required(form, 1, f"({form.head.lower()} place)")
        step = evaluator.value(by[0], scope) if by else 1
        value = evaluator.apply(operation, [evaluator.value(place, scope), step], form)
        return assign(evaluator, place, value, scope)

    return change


def _set_item(value: Any, items: Any, index: Any) -> None:
    found, at = items_in(items) if not isinstance(items, list) else items, checked_index(index)
    if at >= len(found):
        raise ModelError(f"{text_of(items)} has no item {at}; set one below {len(found)}")
    if at >= own_items(found):
        raise ModelError(
            f"item {at} of {text_of(items)} is in another list too; set it in one of copy-list"
        )
    found[at] = value


def _set_rest(value: Any, items: Any) -> None:
    if isinstance(items, Pair):
        raise ModelError("a pair cannot be changed; make a new one with cons")
    found = items_in(items)
    if not found or not own_items(found):
        raise ModelError(f"{text_of(items)} is also the end of another list; use copy-list first")
    found[1:] = items_in(value)
    share(value, 0)
    share(found, 1)


SETTERS: Mapping[str, Function] = {
    "NTH": lambda value, index, items: _set_item(value, items, index),
    "ELT": _set_item,
    "AREF": _set_item,
    "SVREF": _set_item,
    "CAR": lambda value, items: _set_item(value, items, 0),
    "FIRST": lambda value, items: _set_item(value, items, 0),
    "SECOND": lambda value, items: _set_item(value, items, 1),
    "THIRD": lambda value, items: _set_item(value, items, 2),
    "CDR": _set_rest,
    "REST": _set_rest,
}
SPECIAL_FORMS: Mapping[str, SpecialForm] = {
    "SETF": _setf,
    "SETQ": _setf,
    "PUSH": _push,
    "POP": _pop,
    "INCF": _changed_by(add),
    "DECF": _changed_by(subtract),
}

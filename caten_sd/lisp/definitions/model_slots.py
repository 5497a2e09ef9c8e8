"""The slots that a model or a class declares: names, forms and options, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from caten_sd.errors import LispError, ModelError
from caten_sd.lisp.definitions.definition import ModelSlot
from caten_sd.lisp.definitions.names import key_of
from caten_sd.lisp.syntax.datum import (
    Datum,
    Form,
    Literal,
    SourcePlace,
    Symbol,
    brief,
    items_of,
    symbol_of,
)
from caten_sd.objects.slots import checked_key

_GRAMMAR = "write (slot form)"


def model_slots(model: Symbol, datum: Datum) -> Iterator[ModelSlot]:
    """Yield the slots of a ``defmodel``: each has a form and options."""
    found = [_model_slot(model, each) for each in items_of(datum, "a list of slots")]
    yield from _distinct(model, found)


def class_slots(model: Symbol, datum: Datum) -> Iterator[ModelSlot]:
    """Yield the slots of a ``defclass`` or ``defmodule``: the form is that of ``:initform``."""
    found = [_class_slot(each) for each in items_of(datum, "a list of slots")]
    yield from _distinct(model, found)


def options_of(data: Iterable[Datum], place: SourcePlace) -> dict[str, Datum]:
    """Return options by the names of their keywords; LispError unless they are pairs.

    An option that is there several times has its first value.
    """
    found: dict[str, Datum] = {}
    each = iter(data)
    for key in each:
        value = next(each, None)
        if not isinstance(key, Symbol) or not key.is_keyword or value is None:
            raise LispError(
                key.place if key is not None else place,
                f"{brief(key)} is not an option with a value",
                "write :option value",
            )
        found.setdefault(key.name, value)
    return found


def _model_slot(model: Symbol, datum: Datum) -> ModelSlot:
    if not isinstance(datum, Form) or datum.tail is not None:
        raise LispError(
            datum.place, f"the slot {brief(datum)} of {model} has no form in parentheses", _GRAMMAR
        )
    name = symbol_of(datum.items[0], "the name of a slot")
    form = datum.items[1] if len(datum.items) > 1 else None
    initform = isinstance(form, Symbol) and form.is_keyword and form.name == "INITFORM"
    options = {} if initform else options_of(datum.items[2:], datum.place)
    if initform or "INITFORM" in options:
        raise LispError(
            name.place,
            f"the slot {name} of {model} has an :initform, which the form after the name replaces",
            _GRAMMAR,
        )
    return _slot(name, form, options)


def _class_slot(datum: Datum) -> ModelSlot:
    if isinstance(datum, Symbol):
        return _slot(symbol_of(datum, "the name of a slot"), None, {})
    items = items_of(datum, "a slot")
    name = symbol_of(items[0], "the name of a slot")
    options = options_of(items[1:], datum.place)
    return _slot(name, options.get("INITFORM"), options)


def _slot(name: Symbol, form: Datum | None, options: dict[str, Datum]) -> ModelSlot:
    text = options.get("DOCUMENTATION")
    initarg = options.get("INITARG")
    return ModelSlot(
        name,
        form,
        _named(options, "READER"),
        _named(options, "ACCESSOR"),
        initarg if isinstance(initarg, Symbol) else None,
        str(text.value) if isinstance(text, Literal) else "",
    )


def _named(options: dict[str, Datum], key: str) -> tuple[Symbol, ...]:
    value = options.get(key)
    return (value,) if isinstance(value, Symbol) else ()


def _distinct(model: Symbol, slots: list[ModelSlot]) -> Iterator[ModelSlot]:
    first: dict[str, ModelSlot] = {}
    for each in slots:
        key = key_of(each.name)
        try:
            checked_key(key)
        except ModelError as error:
            raise LispError(each.place, f"a slot of {model}: {error}", "rename the slot") from error
        other = first.setdefault(key, each)
        if other is not each:
            raise LispError(
                each.place,
                f"the slots {other.name} and {each.name} of {model} both have the key {key!r}, "
                f"and Caten would keep only the later one",
                "rename one of them",
            )
        yield each

"""Variables: forms that bind them, set them, and leave with their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.port.forms.choice_forms import condition
from caten_sd.lisp.port.forms.list_forms import bound_values, nth, variables_of
from caten_sd.lisp.port.forms.slot_access import slot_of
from caten_sd.lisp.port.function_text import function_block
from caten_sd.lisp.port.ported_classes import PortedFunction
from caten_sd.lisp.port.python_text.expressions import NIL, Expression, comma
from caten_sd.lisp.port.python_text.python_types import value_types
from caten_sd.lisp.port.translator import ControlForm, Finish, Translator, ValueForm
from caten_sd.lisp.special_forms.binding_forms import bindings
from caten_sd.lisp.special_forms.instances import renamed
from caten_sd.lisp.syntax.datum import Datum, Form, Literal, Symbol, items_of


def _progn(translator: Translator, form: Form, finish: Finish) -> Expression:
    return translator.body(form.rest, finish)


def _let(translator: Translator, form: Form, finish: Finish) -> Expression:
    """Bind variables; in a ``let`` of several, no form sees another variable of it."""
    pairs = list(bindings(form))
    last = finish == translator.answer
    with translator.inner():
        if form.head == "LET" and len(pairs) > 1:
            _bind_at_once(translator, pairs, last=last)
        else:
            for symbol, datum in pairs:
                _refuse_global(translator, symbol)
                found = _value(translator, symbol, datum)
                translator.bind(symbol, found, last=last)
        return translator.body(form.rest[1:], finish)


def _value(translator: Translator, symbol: Symbol, datum: Datum | None) -> Expression:
    """Return the value of a variable, as a whole number if it is used as a size."""
    return NIL if datum is None else translator.value_for(translator.fact_of(symbol), datum)


def _bind_at_once(
    translator: Translator, pairs: Sequence[tuple[Symbol, Datum | None]], *, last: bool
) -> None:
    for symbol, _ in pairs:
        _refuse_global(translator, symbol)
    data = dict(pairs)
    found = translator.in_order(list(data), lambda each: _value(translator, each, data[each]))
    hides = {symbol.name for symbol, _ in pairs} & set(translator.scope)
    for (symbol, _), each in zip(pairs, found, strict=True):
        # A name that is hidden may still be read by a form of a later variable.
        translator.bind(symbol, each, last=last and not (hides and len(pairs) > 1))


def _refuse_global(translator: Translator, symbol: Symbol) -> None:
    if symbol.name in translator.names.variables:
        raise translator.untranslatable(symbol, "it gives a global variable another value")


def _bind_values(translator: Translator, form: Form, finish: Finish) -> Expression:
    names, datum, *body = form.rest
    symbols = variables_of(names)
    with translator.inner():
        found = bound_values(translator, datum) or translator.values(datum)
        _unpack(translator, datum, symbols, found, last=finish == translator.answer)
        return translator.body(body, finish)


def _unpack(
    translator: Translator,
    datum: Datum,
    symbols: Sequence[Symbol],
    found: Expression,
    *,
    last: bool,
) -> None:
    parts = found.values if found.values is not None else found.items
    if parts is not None and not any(each.is_splat for each in parts):
        for at, symbol in enumerate(symbols):
            translator.bind(symbol, parts[at] if at < len(parts) else NIL, last=last)
        return
    types = value_types(found.type)
    if not symbols or found.is_plain:
        raise translator.untranslatable(datum, "its values are not written out")
    if types[1:2] == ["..."]:
        types = types[:1] * len(symbols)
    if not types and found.type not in ("Size", "") and found.items is None:
        types = [found.type[5:-1]] * len(symbols)
    if found.type == "Size":
        types = ["int"] * len(symbols)
    texts = []
    for symbol, type_ in zip(symbols, [*types, *[""] * len(symbols)], strict=False):
        name = translator.name_for(symbol, last=last)
        typed = translator.is_typed(symbol)
        item = Expression(name, type_, loose=found.loose and not typed)
        translator.scope[symbol.name] = item
        translator.learn(name, item)
        translator.forget(name)
        texts.append(name)
    if found.acts:
        translator.suite.add(f"{', '.join(texts)} = {found.text}")
    else:
        translator.suite.unpack(texts, found.text)


def _with_slots(translator: Translator, form: Form, finish: Finish) -> Expression:
    names, owner, *body = form.rest
    instance = translator.value(owner)
    with translator.inner():
        for each in items_of(names, "a list of slots"):
            variable, slot = renamed(each)
            translator.scope[variable.name] = slot_of(translator, instance, slot)
        return translator.body(body, finish)


def _setf(translator: Translator, form: Form, finish: Finish) -> Expression:
    found = NIL
    for place, datum in zip(form.rest[::2], form.rest[1::2], strict=True):
        target = _target(translator, place)
        value = translator.value_for(target.fact, datum)
        _assign(translator, place, target, value)
        found = attrs.evolve(target, type=value.type, loose=value.loose)
    return NIL if finish == translator.discard else _finished(translator, found, finish)


def _finished(translator: Translator, found: Expression, finish: Finish) -> Expression:
    if finish == translator.answer:
        translator.give(found)
        return NIL
    return found


def _assign(translator: Translator, place: Datum, target: Expression, value: Expression) -> None:
    if target.fact:
        translator.facts.flow(target.fact, value)
    if value.base == target.text and isinstance(place, Symbol):
        translator.scope[place.name] = attrs.evolve(value, acts=False)  # its base keeps the name
        return
    _forget(translator, target)
    if target.text.isidentifier():
        translator.suite.assign(target.text, value.text, keeps=value.acts)
    else:
        translator.suite.add(f"{target.text} = {value.text}")
    translator.learn(target.text, value)
    if isinstance(place, Symbol) and place.name in translator.scope:
        translator.scope[place.name] = attrs.evolve(
            translator.scope[place.name], base=value.base, items=None, floating=value.floating
        )


def _forget(translator: Translator, target: Expression) -> None:
    """Forget what was known of a place that gets another value."""
    translator.facts.sets_again(translator.variable_fact(target.text))
    translator.forget(target.text)


def _target(translator: Translator, place: Datum) -> Expression:
    if isinstance(place, Symbol) and place.name in translator.scope:
        return translator.scope[place.name]
    if isinstance(place, Symbol):
        translator.names.require_variable(place, translator.scope)
    if isinstance(place, Form):
        names = translator.names
        if place.head == "SLOT-VALUE" or place.head in names.accessors:
            return translator.values(place)
        if place.head in ("NTH", "ELT", "AREF", "CAR", "FIRST", "SECOND", "THIRD"):
            found = translator.values(place)
            if found.text.endswith("]"):
                translator.facts.sets_again(translator.items_fact)
                translator.lists = {}
                return found
    raise translator.untranslatable(place, "it cannot be set")


def _changed(translator: Translator, form: Form, finish: Finish) -> Expression:
    target = _target(translator, form.rest[0])
    by = translator.value(form.rest[1]).text if len(form.rest) > 1 else "1"
    _forget(translator, target)
    translator.suite.add(f"{target.text} {'+' if form.head == 'INCF' else '-'}= {by}")
    return _finished(translator, target, finish)


def _push(translator: Translator, form: Form, finish: Finish) -> Expression:
    item, target = translator.value(form.rest[0]), _target(translator, form.rest[1])
    _forget(translator, target)
    translator.suite.assign(target.text, f"[{item.text}, *({target.text} or ())]")
    if target.fact:
        translator.facts.give(target.fact, f"list[{item.type}]")
    return _finished(translator, target, finish)


def _local_functions(translator: Translator, form: Form, finish: Finish) -> Expression:
    with translator.inner():
        for each in items_of(form.rest[0], "functions"):
            name, arguments, *body = items_of(each, "(name (arguments) form ...)")
            assert isinstance(name, Symbol)
            own = PortedFunction(translator.name_for(name, last=False), lambda_list(arguments))
            if form.head == "LABELS":
                translator.functions[name.name] = own
            function_block(translator, own, name.name, tuple(body), inner=True)
            translator.functions[name.name] = own
        return translator.body(form.rest[1:], finish)


def _return_from(translator: Translator, form: Form, finish: Finish) -> Expression:
    data = form.rest[1:] if form.head == "RETURN-FROM" else form.rest
    name = getattr(form.rest[0], "name", "") if form.head == "RETURN-FROM" else "NIL"
    leaves = finish in (translator.discard, translator.answer)
    if name not in translator.blocks or not leaves:
        raise translator.untranslatable(form, "it leaves something else than the function")
    translator.body(data, translator.answer)
    return NIL


def _assert(translator: Translator, form: Form, finish: Finish) -> Expression:
    found = condition(translator, form.rest[0])
    message = form.rest[2] if len(form.rest) > 2 else None
    if found.text != "True":
        text = f", {translator.value(message).text}" if isinstance(message, Literal) else ""
        translator.suite.add(f"assert {found.text}{text}")
    return NIL


def _values(translator: Translator, form: Form, want: str) -> Expression:
    found = tuple(translator.items(form.rest))
    if len(found) < 2:
        return found[0] if found else NIL
    return Expression(comma(found), values=found)


def _nth_value(translator: Translator, form: Form, want: str) -> Expression:
    at = translator.value(form.rest[0]).number
    found = translator.values(form.rest[1])
    if not isinstance(at, int) or (found.values is None and not value_types(found.type)):
        raise translator.untranslatable(form)
    return found.values[at] if found.values is not None else nth(found, at)


VALUE_FORMS: Mapping[str, ValueForm] = {"VALUES": _values, "NTH-VALUE": _nth_value}
CONTROL_FORMS: Mapping[str, ControlForm] = {
    "PROGN": _progn,
    "LET": _let,
    "LET*": _let,
    "MULTIPLE-VALUE-BIND": _bind_values,
    "WITH-SLOTS": _with_slots,
    "WITH-ATTRS": _with_slots,
    "SETF": _setf,
    "SETQ": _setf,
    "INCF": _changed,
    "DECF": _changed,
    "PUSH": _push,
    "FLET": _local_functions,
    "LABELS": _local_functions,
    "RETURN-FROM": _return_from,
    "RETURN": _return_from,
    "ASSERT": _assert,
}

"""Slots of models as attributes."""

from __future__ import annotations

from collections.abc import Mapping

from caten_sd import nn
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.port.ported_classes import PortedClass
from caten_sd.lisp.port.python_text.expressions import Expression
from caten_sd.lisp.port.python_text.python_types import is_optional, present
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol


def class_of(translator: Translator, type_: str) -> PortedClass | None:
    """Return the class of the file that a type names."""
    classes = translator.names.classes.values()
    return next((each for each in classes if each.name == type_), None)


def slot_of(translator: Translator, instance: Expression, symbol: Symbol) -> Expression:
    """Return the attribute of an instance that a symbol names."""
    owner = class_of(translator, instance.type)
    if owner is None:
        return _built_in_slot(translator, instance, symbol)
    attribute = owner.attributes.get(symbol.name)
    if attribute is None:
        raise translator.untranslatable(symbol, f"{owner.name} has no such slot")
    return _attribute(translator, instance, owner, attribute, symbol)


def _attribute(
    translator: Translator, instance: Expression, owner: PortedClass, attribute: str, datum: Datum
) -> Expression:
    fact = owner.slot_fact(attribute)
    translator.require(fact, datum)
    text = f"{instance.operand}.{attribute}"
    type_ = translator.facts.type_of(fact)
    if is_optional(type_) and text in translator.known:
        type_ = present(type_)
    return Expression(text, type_, fact=fact, loose=instance.loose)


def _built_in_slot(translator: Translator, instance: Expression, symbol: Symbol) -> Expression:
    name = python_name(symbol)
    model = getattr(nn, instance.type, None)
    fields = getattr(model, "__attrs_attrs__", ())
    types = {each.name: present(str(each.type)) for each in fields}
    if name not in types:
        raise translator.untranslatable(symbol, f"it is not known what {instance.text} is")
    return Expression(f"{instance.operand}.{name}", types[name], loose=instance.loose)


def _slot_value(translator: Translator, form: Form, want: str) -> Expression:
    owner, name = form.rest
    symbol = name.rest[0] if isinstance(name, Form) and name.head == "QUOTE" else None
    if not isinstance(symbol, Symbol):
        raise translator.untranslatable(form, "the slot is not named by a quoted symbol")
    return slot_of(translator, translator.value(owner), symbol)


def read(translator: Translator, form: Form, attribute: str) -> Expression:
    """Return what a reader or an accessor reads."""
    instance = translator.value(form.rest[0])
    owner = class_of(translator, instance.type)
    if owner is None:
        raise translator.untranslatable(form, f"it is not known what {instance.text} is")
    return _attribute(translator, instance, owner, attribute, form)


VALUE_FORMS: Mapping[str, ValueForm] = {"SLOT-VALUE": _slot_value}

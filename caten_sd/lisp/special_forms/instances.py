"""The slots of a model by their symbols: slot-value, with-slots and accessors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from caten_sd.errors import LispError, ModelError
from caten_sd.lisp.definitions.grammar import required, undeclared
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.evaluation.evaluator import Evaluator, SpecialForm
from caten_sd.lisp.evaluation.scopes import PlaceVariable, Scope
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief, items_of, symbol_of
from caten_sd.objects.declared_slots import declared_slots


def attribute_of(instance: Any, symbol: Any) -> str:
    """Return the attribute of an instance that a symbol names; ModelError if it has no such slot.

    >>> from caten_sd.nn import Linear
    >>> attribute_of(Linear(1, 1), Symbol("WEIGHT", "weight"))
    'weight'
    """
    names = [each.name for each in declared_slots(type(instance))]
    if isinstance(symbol, Symbol):
        known: Mapping[str, str] = getattr(type(instance), "lisp_attributes", {})
        name = known.get(symbol.name, python_name(symbol))
        if name in names:
            return name
    kind = type(instance).__name__
    slots = ", ".join(names) or "none"
    raise ModelError(f"{kind} has no slot {text_of(symbol)}; its slots are {slots}")


def slot_value(instance: Any, symbol: Any) -> Any:
    """Return the value of the slot that a symbol names."""
    return getattr(instance, attribute_of(instance, symbol))


def set_slot_value(value: Any, instance: Any, symbol: Any) -> None:
    """Set the slot that a symbol names."""
    setattr(instance, attribute_of(instance, symbol), value)


def _with_slots(evaluator: Evaluator, form: Form, scope: Scope) -> Any:
    names, owner, *body = required(form, 2, f"({form.head.lower()} (slot ...) instance form ...)")
    instance = evaluator.value(owner, scope)
    inner = scope.inner()
    for each in items_of(names, "a list of slots"):
        variable, slot = renamed(each)
        evaluator.apply(attribute_of, [instance, slot], form)
        inner.variables[variable.name] = PlaceVariable(
            partial(slot_value, instance, slot),
            partial(set_slot_value, instance=instance, symbol=slot),
        )
    return evaluator.body(undeclared(body), inner)


def renamed(datum: Datum) -> tuple[Symbol, Symbol]:
    """Return the variable and the slot that an item of ``with-slots`` names; LispError if none."""
    if isinstance(datum, Symbol):
        return symbol_of(datum, "the name of a slot"), datum
    items = items_of(datum, "(variable slot)")
    if len(items) == 2 and isinstance(items[1], Symbol):
        return symbol_of(items[0], "the name of a variable"), items[1]
    raise LispError(datum.place, f"{brief(datum)} does not name a slot", "write (variable slot)")


_Slots = dict[str, Symbol]  # the slot that an accessor reads, by the model


def accessors(evaluator: Evaluator) -> tuple[dict[str, Function], dict[str, Function]]:
    """Return the functions that read slots of the file's models, and those that set them."""
    read: dict[str, _Slots] = {}
    written: dict[str, _Slots] = {}
    for model in evaluator.definitions.models.values():
        for slot in getattr(model, "slots", ()):
            for name in (*slot.readers, *slot.accessors):
                read.setdefault(name.name, {})[model.name.name] = slot.name
            for name in slot.accessors:
                written.setdefault(name.name, {})[model.name.name] = slot.name
    readers: dict[str, Function] = {name: partial(_read, slots) for name, slots in read.items()}
    return readers, {name: partial(_write, slots) for name, slots in written.items()}


def _read(slots: _Slots, instance: Any) -> Any:
    return slot_value(instance, _slot_of(instance, slots))


def _write(slots: _Slots, value: Any, instance: Any) -> None:
    set_slot_value(value, instance, _slot_of(instance, slots))


def _slot_of(instance: Any, slots: _Slots) -> Symbol:
    """Return the slot of the model that an instance is, or of its nearest base."""
    definitions = (vars(cls).get("definition") for cls in type(instance).__mro__)
    names = (each.name.name for each in definitions if each is not None)
    return next((slots[name] for name in names if name in slots), next(iter(slots.values())))


FUNCTIONS: Mapping[str, Function] = {"SLOT-VALUE": slot_value}
SETTERS: Mapping[str, Function] = {"SLOT-VALUE": set_slot_value}
SPECIAL_FORMS: Mapping[str, SpecialForm] = {"WITH-SLOTS": _with_slots, "WITH-ATTRS": _with_slots}

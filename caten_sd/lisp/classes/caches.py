"""Which slots are caches: nil when the model is built, and set by a method later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.definition import Definitions, ModelSlot
from caten_sd.lisp.special_forms.instances import renamed
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, is_nil, items_of


def places_set(definitions: Definitions) -> frozenset[str]:
    """Return what the methods of a file set: names of slots, and accessors in parentheses."""
    forms = (form for method in definitions.methods for form in method.body)
    return frozenset(name for form in forms for name in _set_in(form, {}))


def is_cache(slot: ModelSlot, places: frozenset[str]) -> bool:
    """Return whether a slot has no value at first and is one of the places that methods set."""
    if slot.form is not None and not is_nil(slot.form):
        return False
    names = {slot.name.name, *(f"({each.name})" for each in slot.accessors)}
    return not names.isdisjoint(places)


def _set_in(datum: Datum, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield what a form sets, given the slots of variables."""
    if not isinstance(datum, Form):
        return
    if datum.head in ("WITH-SLOTS", "WITH-ATTRS") and len(datum.rest) > 1:
        variables = {**variables, **_variables(datum.rest[0])}
    if datum.head in ("SETF", "SETQ"):
        yield from _places(datum.rest[::2], variables)
    elif datum.head == "PUSH":
        yield from _places(datum.rest[1:2], variables)
    for each in datum.items:
        yield from _set_in(each, variables)


def _variables(datum: Datum) -> dict[str, str]:
    try:
        pairs = [renamed(each) for each in items_of(datum, "a list of slots")]
    except LispError:
        return {}  # evaluating the form will say what is wrong
    return {variable.name: slot.name for variable, slot in pairs}


def _places(places: Iterable[Datum], variables: Mapping[str, str]) -> Iterator[str]:
    for each in places:
        if isinstance(each, Symbol):
            yield variables.get(each.name, "")
        elif isinstance(each, Form) and each.head == "SLOT-VALUE":
            named = each.items[-1]
            quoted = named.items[-1] if isinstance(named, Form) else named
            yield quoted.name if isinstance(quoted, Symbol) else ""
        elif isinstance(each, Form):
            yield f"({each.head})"

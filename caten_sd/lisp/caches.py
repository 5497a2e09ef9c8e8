"""Which slots are caches: nil when the model is built, and set by a method later."""

from __future__ import annotations

from caten_sd.lisp.datum import Datum, Form, Symbol, is_nil, items_of
from caten_sd.lisp.definitions import Definitions, ModelSlot
from caten_sd.lisp.instances import renamed
from caten_sd.lisp.names import key_of


def is_cache(slot: ModelSlot, definitions: Definitions) -> bool:
    """Return whether a slot has no value at first and some method of the file sets it."""
    if slot.form is not None and not is_nil(slot.form):
        return False
    accessors = frozenset(each.name for each in slot.accessors)
    forms = (form for method in definitions.methods for form in method.body)
    return any(_sets(each, slot.name, accessors, frozenset()) for each in forms)


def _sets(
    datum: Datum, slot: Symbol, accessor_names: frozenset[str], variables: frozenset[str]
) -> bool:
    if not isinstance(datum, Form):
        return False
    if datum.head in ("WITH-SLOTS", "WITH-ATTRS") and len(datum.rest) > 1:
        pairs = [renamed(each) for each in items_of(datum.rest[0], "a list of slots")]
        variables |= {name.name for name, own in pairs if key_of(own) == key_of(slot)}
    if datum.head in ("SETF", "SETQ"):
        for place in datum.rest[::2]:
            if _names_slot(place, slot, accessor_names, variables):
                return True
    return any(_sets(each, slot, accessor_names, variables) for each in datum.items)


def _names_slot(
    place: Datum, slot: Symbol, accessor_names: frozenset[str], variables: frozenset[str]
) -> bool:
    if isinstance(place, Symbol):
        return place.name in variables
    if not isinstance(place, Form):
        return False
    named = place.items[-1]
    if place.head == "SLOT-VALUE" and isinstance(named, Form) and named.head == "QUOTE":
        return named.items[1] == slot
    return place.head in accessor_names

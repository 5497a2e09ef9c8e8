"""Quoted data, and lists that are quoted with places to fill in."""

from __future__ import annotations

from collections.abc import Mapping

from caten_sd.lisp.port.python_text.expressions import Expression, listed, splat
from caten_sd.lisp.port.python_text.python_types import NONE
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol


def item_value(translator: Translator, datum: Datum) -> Expression:
    """Return an item of a list; a quotient among others is a size of a shape."""
    quotient = isinstance(datum, Form) and datum.head == "/"
    return translator.value(datum, "int" if quotient else "")


def spliced(found: Expression) -> tuple[Expression, ...]:
    """Return the items of a list, to be put among others."""
    if found.type == NONE:
        return ()
    return (splat(found),) if found.items is None else found.items


def _quote(translator: Translator, form: Form, want: str) -> Expression:
    return _quoted(translator, form.rest[0])


def _quoted(translator: Translator, datum: Datum) -> Expression:
    if isinstance(datum, Form):
        if datum.tail is not None or datum.head == "VECTOR-LITERAL":
            raise translator.untranslatable(datum)
        return listed(_quoted(translator, each) for each in datum.items)
    if isinstance(datum, Symbol) and datum.name not in ("NIL", "T") and not datum.is_keyword:
        raise translator.untranslatable(datum, "it is a symbol as a value")
    return translator.value(datum)


def _quasiquote(translator: Translator, form: Form, want: str) -> Expression:
    return _filled(translator, form.rest[0])


def _filled(translator: Translator, datum: Datum) -> Expression:
    if not isinstance(datum, Form):
        return _quoted(translator, datum)
    if datum.head == "UNQUOTE":
        return item_value(translator, datum.items[1])
    found: list[Expression] = []
    for each in datum.items:
        if isinstance(each, Form) and each.head == "UNQUOTE-SPLICING":
            found += spliced(translator.value(each.items[1], "list[int]"))
        else:
            found.append(_filled(translator, each))
    return listed(found)


VALUE_FORMS: Mapping[str, ValueForm] = {"QUOTE": _quote, "QUASIQUOTE": _quasiquote}

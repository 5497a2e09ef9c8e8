"""``and`` and ``or`` as values: of tests a truth value, else one of their arguments."""

from __future__ import annotations

from collections.abc import Mapping

from caten_sd.lisp.port.forms.choice_forms import all_or_one
from caten_sd.lisp.port.python_text.expressions import CHOICE, NIL, OR, TRUE, Expression
from caten_sd.lisp.port.python_text.python_types import NONE, is_list, is_optional, joined, present
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Form

_TRUTHS = ("", "bool", "bool | None")


def _all_of(translator: Translator, form: Form, want: str) -> Expression:
    """Return the last value if all others are not nil; of tests alone whether all hold."""
    with translator.writing(Suite()) as lines:
        last = translator.value(form.rest[-1], want) if form.rest else TRUE
    if last.type in _TRUTHS:
        return all_or_one(translator, form)
    if lines.lines:
        raise translator.untranslatable(form, "its last form is not one expression")
    test = all_or_one(translator, Form(form.items[:-1], None, form.place))
    if test.text in ("True", "False"):
        return last if test.text == "True" else NIL
    text = f"{last.within(OR)} if {test.within(OR)} else None"
    return Expression(text, joined(last.type, NONE), CHOICE, last.loose, acts=last.acts)


def _one_of(translator: Translator, form: Form, want: str) -> Expression:
    """Return the first value that is not nil; of tests alone whether one holds."""
    if len(form.rest) < 2:
        return translator.value(form.rest[0], want) if form.rest else NIL
    rest = Form((form.items[0], *form.rest[1:]), None, form.place)
    with translator.writing(Suite()) as lines:
        first = translator.value(form.rest[0])
        start = len(lines.lines)
        if is_optional(first.type) and not first.is_name:
            name = translator.fresh("value")
            lines.assign(name, first.text)
            first = Expression(name, first.type, loose=True)
        second = _one_of(translator, rest, present(first.type))
    if first == NIL:
        return second
    if first.fact and first.type in ("", NONE) and second.type not in _TRUTHS:
        translator.facts.give(first.fact, NONE)
    elif first.type in (*_TRUTHS, "Any", NONE) or is_list(first.type):
        return all_or_one(translator, form)
    elif not is_optional(first.type):
        translator.suite.lines += lines.lines[:start]
        return first
    translator.suite.lines += lines.lines
    type_ = joined(present(first.type), second.type)
    text = f"{first.within(OR)} if {first.text} is not None else {second.within(CHOICE)}"
    return Expression(text, type_, CHOICE, first.loose or second.loose)


VALUE_FORMS: Mapping[str, ValueForm] = {"AND": _all_of, "OR": _one_of}

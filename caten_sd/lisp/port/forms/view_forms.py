"""Views of tensors, as slices, and what is written into them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from caten_sd.lisp.port.forms.operands import (
    Arguments,
    OperatorForm,
    is_scalar,
    operand,
)
from caten_sd.lisp.port.python_text.expressions import (
    Expression,
    method,
)
from caten_sd.lisp.port.translator import Translator
from caten_sd.lisp.syntax.datum import Datum, Form


def _view(translator: Translator, arguments: Arguments) -> Expression:
    x, *subscripts = arguments.positional
    found = operand(translator, x)
    return _cut(translator, arguments.form, found, subscripts, found.base or found.text)


def _view_from_base(translator: Translator, arguments: Arguments) -> Expression:
    x, *subscripts = arguments.positional
    found = operand(translator, x)
    base = attrs.evolve(found, text=found.base or found.text)
    return _cut(translator, arguments.form, base, subscripts, base.text)


def _cut(
    translator: Translator, form: Form, x: Expression, subscripts: Sequence[Datum], base: str
) -> Expression:
    found = [_written(translator, translator.value(each)) for each in subscripts]
    if any(each.items is not None and each.items[0].text == '"~"' for each in found):
        repeats = [
            "-1" if each.text == "True" else _repeats(translator, form, each) for each in found
        ]
        return method(x, "expand", *repeats)
    texts = [_subscript(translator, form, each) for each in found]
    while len(texts) > 1 and texts[-1] == ":":
        del texts[-1]
    if texts in ([":"], []):
        return x
    return Expression(f"{x.operand}[{', '.join(texts)}]", "Tensor", loose=x.loose, base=base)


def _written(translator: Translator, found: Expression) -> Expression:
    """Return a range as it was written, if a variable holds it and nothing of it has changed."""
    return translator.lists.get(found.text, found)


def _repeats(translator: Translator, form: Form, each: Expression) -> str:
    if each.text == "True":
        return "-1"
    if each.items is None:
        raise translator.untranslatable(form, "a view repeats axes or cuts others, not both")
    return each.items[1].text


def _subscript(translator: Translator, form: Form, each: Expression) -> str:
    if each.text == "True":
        return ":"
    if each.items is not None:
        start, end, *step = each.items
        if step and (not isinstance(step[0].number, int) or step[0].number < 1):
            raise translator.untranslatable(form, "the step of a view is not a number from 1")
        texts = ["" if start.text == "0" else start.text, end.text, *(each.text for each in step)]
        if all(re.fullmatch(r"-?\w*", text) for text in texts):
            return ":".join(texts)
        return " : ".join(texts).strip()
    if isinstance(each.number, int):
        return f"{each.number}:{'' if each.number == -1 else each.number + 1}"
    raise translator.untranslatable(form, "a subscript is not t, an integer or a range")


def _assign(translator: Translator, arguments: Arguments) -> Expression:
    target, source = (operand(translator, each) for each in arguments.positional)
    if is_scalar(source):
        translator.suite.add(f"{target.operand}.copy_({source.text})")
        return target
    if not target.text.isidentifier():
        place = translator.fresh("place")
        translator.suite.assign(place, target.text)
        target = attrs.evolve(target, text=place)
    # A source of another batch would otherwise be repeated in silence.
    translator.suite.add(f"{target.text}.copy_({source.operand}.reshape_as({target.text}))")
    return target


FORMS: Mapping[str, OperatorForm] = {
    "!VIEW": _view,
    "!VIEW-FROM-BASE": _view_from_base,
    "!MOVE": _assign,
    "!ASSIGN": _assign,
}

"""Functions as values: by their names, as lambdas, and as nodes of a sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping

from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.operators.elementwise import ONE
from caten_sd.lisp.operators.layers import ACTIVATIONS
from caten_sd.lisp.port.forms.maker_forms import activation
from caten_sd.lisp.port.python_text.expressions import CHOICE, Expression
from caten_sd.lisp.port.python_text.suites import Line, Suite
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol


def _function_value(translator: Translator, form: Form, want: str) -> Expression:
    target = form.rest[0]
    if isinstance(target, Form):
        return _lambda(translator, target)
    name = target.name if isinstance(target, Symbol) else ""
    for known in (translator.functions, translator.names.functions, translator.names.classes):
        if name in known:
            translator.require(getattr(known[name], "result_fact", ""), form)
            if known is not translator.functions:
                translator.facts.call(translator.caller, known[name].name)
            return Expression(known[name].name, "Callable[..., Any]")
    text = function_text(translator, name)
    if not text:
        if isinstance(target, Symbol):
            translator.names.require_function(target, translator.functions)
        raise translator.untranslatable(form, f"#'{name.lower()} is a function as a value")
    return Expression(text, "Callable[..., Any]")


def function_text(translator: Translator, name: str) -> str:
    """Return a function of Caten's as a value, "" if there is no short name for it."""
    if name in _PLAIN:
        return (
            f"{translator.imports.use(_PLAIN[name].partition('.')[0], '')}."
            + _PLAIN[name].partition(".")[2]
        )
    if name in ONE:
        return f"{translator.imports.use('torch', '')}.{ONE[name].__name__}"
    return activation(translator, name, [], {}) if name in ACTIVATIONS else ""


_PLAIN = {
    "CEILING": "math.ceil",
    "FLOOR": "math.floor",
    "!RELU": "torch.relu",
    "!SIGMOID": "torch.sigmoid",
}


def _lambda(translator: Translator, form: Form) -> Expression:
    symbols = [each.symbol for each in lambda_list(form.rest[0]).of_kind("required")]
    with translator.inner(), translator.writing(Suite()) as lines:
        for each in symbols:
            translator.scope[each.name] = Expression(python_name(each), "Tensor", loose=True)
        found = translator.value(form.rest[-1])
        names = ", ".join(translator.scope[each.name].text for each in symbols)
    text = _with_names(lines, found.text)
    if text is None or len(form.rest) != 2:
        raise translator.untranslatable(form, "its body is not one expression")
    return Expression(f"lambda {names}: {text}", "Callable[..., Any]", CHOICE)


def _with_names(lines: Suite, text: str) -> str | None:
    """Return a value that names what lines before it set, or None if it cannot.

    It cannot where a line does something else, or where its first place may not be run first.
    """
    named: set[str] = set()
    for line in reversed(lines.lines):
        name = line.names[0] if isinstance(line, Line) and len(line.names) == 1 else ""
        place = re.search(rf"(?<![\w.]){name}\b", text) if name and name not in named else None
        if place is None or not isinstance(line, Line) or _DECIDES.search(text):
            return None
        text = f"{text[: place.start()]}({name} := {line.source}){text[place.end() :]}"
        named.add(name)
    return text


_DECIDES = re.compile(r"\b(if|for|and|or|lambda)\b")


def _lambda_value(translator: Translator, form: Form, want: str) -> Expression:
    return _lambda(translator, form)


def _node(translator: Translator, form: Form, want: str) -> Expression:
    """Return a function as a node of a sequence, with what it takes after its input."""
    function, *rest = form.rest
    named = isinstance(function, Form) and function.head in ("FUNCTION", "QUOTE")
    if not rest and not (named and _is_long(translator, function)):
        return translator.value(function)
    name = function.rest[0] if isinstance(function, Form) and named else function
    x = Symbol("X", "x", place=form.place)
    call = (name, x, *rest) if isinstance(name, Symbol) and named else (_FUNCALL, name, x, *rest)
    return _lambda(
        translator, Form((x, Form((x,)), Form(call, None, form.place)), None, form.place)
    )


_FUNCALL = Symbol("FUNCALL", "funcall")


def _is_long(translator: Translator, function: Datum) -> bool:
    """Return whether a function has no short name as a value."""
    name = function.rest[0] if isinstance(function, Form) else function
    if not isinstance(name, Symbol) or name.name in translator.names.functions:
        return False
    return not function_text(translator, name.name)


VALUE_FORMS: Mapping[str, ValueForm] = {
    "FUNCTION": _function_value,
    "LAMBDA": _lambda_value,
    "ASNODE": _node,
}

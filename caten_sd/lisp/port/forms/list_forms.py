"""Lists: written out, cut, joined, and functions over their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import attrs

from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.port.forms.loop_headers import LoopHeader
from caten_sd.lisp.port.forms.quote_forms import item_value, spliced
from caten_sd.lisp.port.python_text.expressions import (
    AND,
    NIL,
    SUM,
    Expression,
    called,
    comma,
    listed,
    number,
)
from caten_sd.lisp.port.python_text.python_types import NONE, is_list, item_type
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, items_of, symbol_of


def _list(translator: Translator, form: Form, want: str) -> Expression:
    exact, translator.exact = translator.exact, False
    found = translator.in_order(form.rest, partial(item_value, translator))
    translator.exact = exact
    return listed(found) if found else NIL


def _append(translator: Translator, form: Form, want: str) -> Expression:
    found = [translator.value(each, "list[int]") for each in form.rest]
    return listed(item for each in found for item in spliced(each))


def nth(found: Expression, at: int) -> Expression:
    """Return an item of a list."""
    if found.items is not None and not any(each.is_splat for each in found.items):
        return found.items[at] if -len(found.items) <= at < len(found.items) else NIL
    return Expression(f"{found.operand}[{at}]", item_type(found.type), loose=found.loose)


def _nth(at: int, translator: Translator, form: Form, want: str) -> Expression:
    inner = form.rest[0]
    if at == 0 and isinstance(inner, Form) and inner.head == "LAST":
        count = translator.value(inner.rest[1]).number if len(inner.rest) > 1 else 1
        return nth(translator.value(inner.rest[0], "list[int]"), -int(count or 1))
    return nth(translator.value(inner, "list[int]"), at)


def _nth_of(translator: Translator, form: Form, want: str) -> Expression:
    index, found = form.rest if form.head == "NTH" else form.rest[::-1]
    at, value = translator.value(index, "int"), translator.value(found, "list[int]")
    if at.number is not None:
        return nth(value, int(at.number))
    return Expression(f"{value.operand}[{at.text}]", item_type(value.type))


def cut(found: Expression, start: str, end: str) -> Expression:
    """Return some items of a list, as a slice."""
    if found.items is not None and not any(each.is_splat for each in found.items):
        first, last = (int(each) if each else None for each in (start, end))
        return listed(found.items[first:last])
    return Expression(f"{found.operand}[{start}:{end}]", found.type)


def _count(translator: Translator, form: Form) -> int:
    if len(form.rest) < 2:
        return 1
    count = translator.value(form.rest[1]).number
    if not isinstance(count, int) or count < 1:
        raise translator.untranslatable(form, "the number of items is not written out")
    return count


def _last(translator: Translator, form: Form, want: str) -> Expression:
    return cut(translator.value(form.rest[0], "list[int]"), str(-_count(translator, form)), "")


def _all_but_last(translator: Translator, form: Form, want: str) -> Expression:
    return cut(translator.value(form.rest[0], "list[int]"), "", str(-_count(translator, form)))


def _rest(translator: Translator, form: Form, want: str) -> Expression:
    return cut(translator.value(form.rest[0], "list[int]"), "1", "")


def _subsequence(translator: Translator, form: Form, want: str) -> Expression:
    found, start, *end = translator.items(form.rest)
    if found.items is not None and any(each.number is None for each in (start, *end)):
        found = attrs.evolve(found, items=None)
    return cut(found, start.text, end[0].text if end else "")


def _length(translator: Translator, form: Form, want: str) -> Expression:
    found = translator.value(form.rest[0], "list[int]")
    if found.items is not None and not any(each.is_splat for each in found.items):
        return number(len(found.items))
    return called("len", found, type_="int")


def _reversed(translator: Translator, form: Form, want: str) -> Expression:
    found = translator.value(form.rest[0], "list[int]")
    return Expression(f"{found.operand}[::-1]", found.type)


def _make_list(translator: Translator, form: Form, want: str) -> Expression:
    count, *options = form.rest
    size = translator.value(count, "int")
    item = translator.value(options[1]) if options else NIL
    return Expression(f"[{item.text}] * {size.within(SUM + 1)}", f"list[{item.type}]", SUM + 1)


def _range(translator: Translator, form: Form, want: str) -> Expression:
    found = translator.items(form.rest, "int")
    return Expression(f"list(range({comma(found)}))", "list[int]")


def _identity(translator: Translator, form: Form, want: str) -> Expression:
    return translator.value(form.rest[-1], want)


def comprehension(
    translator: Translator, element: Datum, loop: LoopHeader, tests: Sequence[Expression] = ()
) -> Expression:
    """Return the list of the values of a form, or one built line by line if it needs lines."""
    with translator.writing(Suite()) as lines:
        found = translator.value(element)
    if any(map(loop.keeps_variable, [found.text, *(each.source for each in lines.flat())])):
        raise translator.untranslatable(element, "a function in it keeps a variable of the loop")
    type_ = f"list[{found.type}]"
    if not lines.lines:
        ifs = [f"if {each.text}" for each in tests]
        text = " ".join([found.text, loop.clause(found.text, *ifs), *ifs])
        return Expression(f"[{text}]", type_, acts=found.acts)
    name = translator.fresh("items")
    lines.add(f"{name}.append({found.text})")
    if tests:
        body = Suite()
        both = " and ".join(each.within(AND) for each in tests)
        body.block(f"if {both if len(tests) > 1 else tests[0].text}:", lines)
        lines = body
    translator.suite.assign(name, "[]", translator.annotation(type_))
    loop.write(translator.suite, lines)
    return Expression(name, type_)


def _mapped(lists_at: int, translator: Translator, form: Form, want: str) -> Expression:
    function, *sources = form.rest[lists_at:]
    found = [translator.value(each, "list[int]") for each in sources]
    if any(each.type not in ("", "Any", NONE) and not is_list(each.type) for each in found):
        raise translator.untranslatable(form, "it is not known what the list holds")
    name = _function_name(function)
    with translator.inner():
        if isinstance(name, Form):  # a lambda
            arguments = [each.symbol for each in lambda_list(name.rest[0]).arguments]
            body = name.rest[-1]
        else:
            arguments = [Symbol(f"EACH-{at}", "each", place=name.place) for at in range(len(found))]
            body = Form((name, *arguments), None, form.place)
        for symbol, each in zip(arguments, found, strict=False):
            text = "each" if symbol.spelling == "each" else translator.loop_name(symbol)
            translator.scope[symbol.name] = Expression(text, item_type(each.type))
        names = tuple(translator.scope[each.name].text for each in arguments)
        loop = LoopHeader(f"{', '.join(names)} in {zipped(found)}", names)
        return comprehension(translator, body, loop)


def zipped(sources: Sequence[Expression]) -> str:
    """Return what iterates over one list, or over several at once until the shortest ends."""
    texts = [_iterable(each) for each in sources]
    return texts[0] if len(texts) == 1 else f"zip({', '.join(texts)}, strict=False)"


def _iterable(found: Expression) -> str:
    if found.items is None or not found.text.startswith("["):
        return found.text
    return f"({comma(found.items)}{',' * (len(found.items) == 1)})"


def _function_name(datum: Datum) -> Form | Symbol:
    if isinstance(datum, Form) and datum.head in ("FUNCTION", "QUOTE"):
        datum = datum.rest[0]
    if isinstance(datum, Form):
        return datum
    return symbol_of(datum, "a function")


def _reduced(translator: Translator, form: Form, want: str) -> Expression:
    name = getattr(_function_name(form.rest[0]), "name", "")
    found = translator.value(form.rest[1], "list[int]")
    if len(form.rest) > 2 or name not in _REDUCTIONS:
        raise translator.untranslatable(form)
    function = _REDUCTIONS[name]
    if function == "prod":
        function = f"{translator.imports.use('math', '')}.prod"
    return called(function, found, type_=item_type(found.type))


_REDUCTIONS = {"+": "sum", "*": "prod", "MAX": "max", "MIN": "min"}


def bound_values(translator: Translator, datum: Datum) -> Expression | None:
    """Return a list whose items are the values of a form, or None if it gives its own."""
    if not isinstance(datum, Form):
        return None
    if datum.head == "VALUES-LIST":
        return translator.value(datum.rest[0], "list[int]")
    if datum.head == "APPLY" and getattr(_function_name(datum.rest[0]), "name", "") == "VALUES":
        return translator.value(datum.rest[-1], "list[int]")
    return None


def variables_of(datum: Datum) -> list[Symbol]:
    """Return the variables of a list."""
    return [symbol_of(each, "the name of a variable") for each in items_of(datum, "variables")]


_ORDER = ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH")
VALUE_FORMS: Mapping[str, ValueForm] = {
    "LIST": _list,
    "VECTOR": _list,
    "APPEND": _append,
    "NCONC": _append,
    **{name: partial(_nth, at) for at, name in enumerate(_ORDER)},
    "CAR": partial(_nth, 0),
    "NTH": _nth_of,
    "ELT": _nth_of,
    "AREF": _nth_of,
    "SVREF": _nth_of,
    "LAST": _last,
    "BUTLAST": _all_but_last,
    "REST": _rest,
    "SUBSEQ": _subsequence,
    "LENGTH": _length,
    "LIST-LENGTH": _length,
    "REVERSE": _reversed,
    "NREVERSE": _reversed,
    "MAKE-LIST": _make_list,
    "RANGE": _range,
    "IDENTITY": _identity,
    "THE": _identity,
    "COPY-LIST": _identity,
    "MAPCAR": partial(_mapped, 0),
    "MAP": partial(_mapped, 1),
    "REDUCE": _reduced,
}

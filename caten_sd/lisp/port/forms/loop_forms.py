"""Loops: comprehensions where something is collected, for statements where something is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

from caten_sd.lisp.port.forms.choice_forms import condition, negated
from caten_sd.lisp.port.forms.list_forms import comprehension, zipped
from caten_sd.lisp.port.forms.loop_headers import LoopHeader
from caten_sd.lisp.port.python_text.expressions import NIL, SUM, Expression, infix, number
from caten_sd.lisp.port.python_text.python_types import NONE, is_list, item_type
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import ControlForm, Finish, Translator
from caten_sd.lisp.special_forms.loop_clauses import (
    LoopBody,
    LoopChoice,
    LoopClauses,
    LoopDo,
    LoopEquals,
    LoopGather,
    LoopNumbers,
    LoopOver,
    LoopRepeat,
    LoopReturn,
    LoopTest,
    LoopWith,
    loop_clauses,
)
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, items_of, symbol_of


@attrs.frozen
class _LoopSource:
    """What a loop goes over: the variable, the list, and the first number of a count."""

    variable: Datum | None
    items: Expression
    counts_from: str = ""


def _loop(translator: Translator, form: Form, finish: Finish) -> Expression:
    if form.rest and not isinstance(form.rest[0], Symbol):
        raise translator.untranslatable(form, "it does not end by itself")
    clauses = loop_clauses(form)
    if clauses.initially or clauses.finally_:
        raise translator.untranslatable(form, "it has initially or finally")
    with translator.inner():
        for head in clauses.heads:
            if isinstance(head, LoopWith):
                found = NIL if head.form is None else translator.value(head.form)
                symbol = symbol_of(head.variable, "the name of a variable")
                translator.bind(symbol, found, last=False)
        loop = _header(translator, form, clauses)
        found = _body(translator, form, clauses, loop)
    return _finished(translator, found, finish)


def _finished(translator: Translator, found: Expression, finish: Finish) -> Expression:
    if finish == translator.answer:
        translator.give(found)
        return NIL
    return found


def _header(translator: Translator, form: Form, clauses: LoopClauses) -> LoopHeader:
    variables = [getattr(each, "variable", None) for each in clauses.heads]
    names = [each.name for each in variables if isinstance(each, Symbol) and each.name != "NIL"]
    if len(set(names)) < len(names):
        raise translator.untranslatable(form, "it sets a variable twice")
    sources = [
        _source(translator, form, head)
        for head in clauses.heads
        if not isinstance(head, (LoopWith, LoopEquals))
    ]
    header = _over(translator, form, sources)
    for head in clauses.heads:
        if isinstance(head, LoopEquals):
            if head.then is not head.first:
                raise translator.untranslatable(form, "a variable has another value at first")
            found = _each_time(translator, form, header, partial(translator.value, head.first))
            name = _variable(translator, head.variable, found.type)
            header = attrs.evolve(header, computed=(*header.computed, (name, found.text)))
    return header


def _each_time(
    translator: Translator, form: Form, loop: LoopHeader, translate: Callable[[], Expression]
) -> Expression:
    """Return an expression for each time around; only a check may come before the loop."""
    with translator.writing(Suite()) as lines:
        found = translate()
    if any(line.names or loop.is_read(line.text) for line in lines.flat()):
        raise translator.untranslatable(form, "what it computes each time is not one expression")
    translator.suite.lines += lines.lines
    return found


def _over(translator: Translator, form: Form, sources: Sequence[_LoopSource]) -> LoopHeader:
    """Return the variables and what they go over: ``i, x in enumerate(xs)``."""
    if not sources:
        raise translator.untranslatable(form, "it goes over nothing")
    endless = [each for each in sources if each.counts_from]
    lists = [each for each in sources if not each.counts_from]
    names = [_variable(translator, each.variable, item_type(each.items.type)) for each in lists]
    if not lists or len(endless) > 1:
        raise translator.untranslatable(form, "it does not end by itself")
    text = zipped([each.items for each in lists])
    if not endless:
        return LoopHeader(f"{', '.join(names)} in {text}", tuple(names))
    counter = _variable(translator, endless[0].variable, "int")
    start = "" if endless[0].counts_from == "0" else f", {endless[0].counts_from}"
    item = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return LoopHeader(f"{counter}, {item} in enumerate({text}{start})", (counter, *names))


def _variable(translator: Translator, datum: Datum | None, type_: str) -> str:
    if datum is None or (isinstance(datum, Symbol) and datum.name == "NIL"):
        return "_"
    symbol = symbol_of(datum, "the name of a variable")
    name = translator.loop_name(symbol)
    translator.scope[symbol.name] = Expression(name, type_)
    return name


def _source(translator: Translator, form: Form, head: object) -> _LoopSource:
    if isinstance(head, LoopRepeat):
        count = translator.value(head.count, "int")
        return _LoopSource(None, Expression(f"range({count.text})", "list[int]"))
    if isinstance(head, LoopNumbers):
        return _numbers(translator, head)
    assert isinstance(head, LoopOver)
    found = translator.value(head.source, "list[int]")
    known = found.type in ("", "Any", NONE) or is_list(found.type)
    if head.how == "ON" or head.by is not None or not known:
        raise translator.untranslatable(form, "it is not known what it goes over")
    return _LoopSource(head.variable, found)


def _numbers(translator: Translator, head: LoopNumbers) -> _LoopSource:
    start = number(0) if head.start is None else translator.value(head.start, "int")
    if head.end is None:
        if head.down or head.by is not None:
            raise translator.untranslatable(head.variable, "it does not end by itself")
        return _LoopSource(head.variable, NIL, start.text)
    end = translator.value(head.end, "int")
    by = number(1) if head.by is None else translator.value(head.by, "int")
    if head.inclusive:
        end = _moved(end, -1 if head.down else 1)
    arguments = [start.text, end.text]
    if head.down:
        arguments.append(f"-{by.within(SUM + 2)}")
    elif by.text != "1":
        arguments.append(by.text)
    if arguments[0] == "0" and len(arguments) == 2:
        del arguments[0]
    return _LoopSource(head.variable, Expression(f"range({', '.join(arguments)})", "list[int]"))


def _moved(end: Expression, by: int) -> Expression:
    if isinstance(end.number, int):
        return number(end.number + by)
    for sign, step in ((" - 1", 1), (" + 1", -1)):
        if end.text.endswith(sign) and by == step and end.strength == SUM:
            return Expression(end.text.removesuffix(sign), "int", SUM)
    return infix("+" if by > 0 else "-", SUM, [end, number(1)], "int")


def _body(translator: Translator, form: Form, clauses: LoopClauses, loop: LoopHeader) -> Expression:
    """Write one gathering as a comprehension, and anything else as a statement."""
    tests: list[Expression] = []
    body = clauses.body
    while len(body) == 1 and isinstance(body[0], LoopChoice) and not body[0].otherwise:
        if not isinstance(body[0].then[0], (LoopGather, LoopChoice)):
            break
        test = _each_time(translator, form, loop, partial(condition, translator, body[0].test))
        tests.append(negated(test) if body[0].negated else test)
        body = body[0].then
    if len(body) == 1 and isinstance(body[0], LoopGather) and body[0].into is None:
        return _gathered(translator, form, body[0], loop, tests)
    if len(body) == 1 and isinstance(body[0], LoopTest) and body[0].verb in _DECISIONS:
        return _decided(translator, form, body[0], loop)
    with translator.writing(Suite()) as suite:
        for each in clauses.body:
            _write(translator, form, each)
    loop.write(translator.suite, suite)
    return NIL


_DECISIONS = {"ALWAYS": "all", "NEVER": "not any"}


def _decided(translator: Translator, form: Form, clause: LoopTest, loop: LoopHeader) -> Expression:
    test = _each_time(translator, form, loop, partial(condition, translator, clause.form))
    text = f"{_DECISIONS[clause.verb]}({test.text} {loop.clause(test.text)})"
    return Expression(text, "bool", 3)


_TOTALS = {"SUM": "sum", "MAXIMIZE": "max", "MINIMIZE": "min"}


def _gathered(
    translator: Translator,
    form: Form,
    clause: LoopGather,
    loop: LoopHeader,
    tests: Sequence[Expression],
) -> Expression:
    if clause.verb == "COLLECT":
        return comprehension(translator, clause.form, loop, tests)
    if clause.verb not in ("APPEND", *_TOTALS):
        raise translator.untranslatable(form, f"it has {clause.verb.lower()}")
    want = "list[int]" if clause.verb == "APPEND" else ""
    value = partial(translator.value, clause.form, want)
    found = _each_time(translator, form, loop, value)
    ifs = [f"if {each.text}" for each in tests]
    ends = " ".join([loop.clause(found.text, *ifs), *ifs])
    if clause.verb == "APPEND":
        return Expression(f"[each {ends} for each in {found.text}]", found.type)
    return Expression(f"{_TOTALS[clause.verb]}({found.text} {ends})", found.type or "int")


def _write(translator: Translator, form: Form, clause: LoopBody) -> None:
    if isinstance(clause, LoopDo):
        for each in clause.forms:
            translator.discard(each)
    elif isinstance(clause, LoopReturn) and "NIL" in translator.blocks:
        translator.answer(clause.form)
    elif isinstance(clause, LoopChoice):
        _write_choice(translator, form, clause)
    elif isinstance(clause, LoopTest) and clause.verb in ("WHILE", "UNTIL"):
        test = condition(translator, clause.form)
        stop = Suite()
        stop.add("break")
        translator.suite.block(
            f"if {(negated(test) if clause.verb == 'WHILE' else test).text}:", stop
        )
    else:
        raise translator.untranslatable(form, "it gathers values besides what it does")


def _write_choice(translator: Translator, form: Form, clause: LoopChoice) -> None:
    test = condition(translator, clause.test)
    test = negated(test) if clause.negated else test
    for header, body in ((f"if {test.text}:", clause.then), ("else:", clause.otherwise)):
        with translator.writing(Suite()) as suite:
            for each in body:
                _write(translator, form, each)
        if body:
            translator.suite.block(header, suite)


def _over_items(translator: Translator, form: Form, finish: Finish) -> Expression:
    header, *body = form.rest
    variable, datum, *result = items_of(header, "(name form)")
    found = translator.value(datum, "int" if form.head == "DOTIMES" else "list[int]")
    if form.head == "DOTIMES":
        found = Expression(f"range({found.text})", "list[int]")
    if result or not is_list(found.type):
        raise translator.untranslatable(form, "it is not known what it goes over")
    with translator.inner():
        name = _variable(translator, variable, item_type(found.type))
        with translator.writing(Suite()) as suite:
            translator.body(body, translator.discard)
        LoopHeader(f"{name} in {zipped([found])}", (name,)).write(translator.suite, suite)
    return _finished(translator, NIL, finish)


CONTROL_FORMS: Mapping[str, ControlForm] = {
    "LOOP": _loop,
    "DOTIMES": _over_items,
    "DOLIST": _over_items,
}

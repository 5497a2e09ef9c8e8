"""Choices: tests of Lisp as tests of Python, and forms that choose by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from caten_sd.lisp.port.python_text.expressions import (
    AND,
    CHOICE,
    COMPARISON,
    FALSE,
    NIL,
    NOT,
    OR,
    TRUE,
    Expression,
    infix,
    truth,
)
from caten_sd.lisp.port.python_text.python_types import NONE, is_list, is_optional, joined, present
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.translator import ControlForm, Finish, Translator, ValueForm
from caten_sd.lisp.syntax.datum import Datum, Form, Literal, Symbol, is_nil, items_of


def condition(translator: Translator, datum: Datum) -> Expression:
    """Return whether the value of a form is not nil."""
    if isinstance(datum, Form) and datum.tail is None and datum.head in _JOINED:
        return all_or_one(translator, datum)
    return tested(translator, translator.values(datum))


def tested(translator: Translator, found: Expression) -> Expression:
    """Return whether a value is not nil."""
    if found.type in ("bool", "bool | None") or is_list(found.type):
        return found
    slot = "." in found.fact and "(" not in found.fact and "[" not in found.fact
    known = not slot or translator.facts.sources.get(found.fact)
    if found.fact and known and found.type in ("", NONE):
        translator.facts.need(found.fact, "bool")
        return attrs.evolve(found, type="bool")
    if found.type == NONE and not found.fact:
        return FALSE
    if is_optional(found.type) or found.type == NONE:
        return Expression(f"{found.within(COMPARISON + 1)} is not None", "bool", COMPARISON)
    if found.fact.startswith("call "):  # an input that is tested may be left out
        translator.facts.give(found.fact, NONE)
    return found if found.type in ("", "Any") else TRUE


def negated(found: Expression) -> Expression:
    """Return whether a test fails."""
    if found.text in ("True", "False"):
        return truth(found.text == "False")
    if found.text.endswith(" is not None") and " and " not in found.text:
        return attrs.evolve(found, text=f"{found.text[:-12]} is None")
    if found.text.endswith(" is None") and " and " not in found.text:
        return attrs.evolve(found, text=f"{found.text[:-8]} is not None")
    return Expression(f"not {found.within(NOT)}", "bool", NOT)


def _not(translator: Translator, form: Form, want: str) -> Expression:
    return negated(condition(translator, form.rest[0]))


_JOINED = {"AND": ("and", AND), "OR": ("or", OR)}


def all_or_one(translator: Translator, form: Form) -> Expression:
    """Return whether all tests hold, or one of them."""
    sign, strength = _JOINED[form.head]
    found = [condition(translator, each) for each in form.rest]
    ends = form.head == "OR"  # the test that decides it alone
    if any(each.text == str(ends) for each in found):
        return truth(ends)
    left = [each for each in found if each.text != str(not ends)]
    if len(left) < 2:
        return left[0] if left else truth(not ends)
    return infix(sign, strength, left, "bool")


def _equal(translator: Translator, form: Form, want: str) -> Expression:
    first, second = form.rest
    for datum, other in ((first, second), (second, first)):
        if is_nil(datum):
            return negated(condition(translator, other))
        if isinstance(datum, Symbol) and datum.name == "T" and not datum.is_keyword:
            return condition(translator, other)
    a, b = translator.items(form.rest)
    for one, another in ((a, b), (b, a)):
        translator.facts.need(one.fact, present(another.type))
    return Expression(
        f"{a.within(COMPARISON + 1)} == {b.within(COMPARISON + 1)}", "bool", COMPARISON
    )


def _if(translator: Translator, form: Form, finish: Finish) -> Expression:
    test, then, *otherwise = form.rest
    return _choose(translator, condition(translator, test), [then], otherwise, finish)


def _when(translator: Translator, form: Form, finish: Finish) -> Expression:
    test, *body = form.rest
    return _choose(translator, condition(translator, test), body, (), finish)


def _unless(translator: Translator, form: Form, finish: Finish) -> Expression:
    test, *body = form.rest
    return _choose(translator, negated(condition(translator, test)), body, (), finish)


def _cond(translator: Translator, form: Form, finish: Finish) -> Expression:
    if not form.rest:
        return translator.body((), finish)
    test, *body = items_of(form.rest[0], "a clause (test form ...)")
    rest = Form((form.items[0], *form.rest[1:]), None, form.place)
    if not body:
        raise translator.untranslatable(form, "a clause has no form")
    otherwise = (rest,) if form.rest[1:] else ()
    return _choose(translator, condition(translator, test), body, otherwise, finish)


def _case(translator: Translator, form: Form, finish: Finish) -> Expression:
    start = len(translator.suite.lines)
    subject = translator.value(form.rest[0])
    if subject.acts or len(translator.suite.lines) > start:  # it is translated for each clause
        name = translator.fresh("key")
        translator.suite.assign(name, subject.text)
        subject = Expression(name, subject.type)
        translator.scope[name] = subject
        form = Form((form.items[0], Symbol(name, name), *form.rest[1:]), None, form.place)
    return _cases(translator, subject, form, form.rest[1:], finish)


def _cases(
    translator: Translator, subject: Expression, form: Form, left: Sequence[Datum], finish: Finish
) -> Expression:
    if not left:
        if form.head == "ECASE":
            error = translator.imports.use("caten_sd", "ModelError")
            translator.suite.add(f'raise {error}(f"{{{subject.text}}} is not known here")')
            return NIL
        return translator.body((), finish)
    keys, *body = items_of(left[0], "a clause (key form ...)")
    if isinstance(keys, Symbol) and keys.name in ("T", "OTHERWISE") and len(left) == 1:
        return translator.body(body, finish)
    test = _has_key(translator, subject, keys)
    rest = Form((*form.items[:2], *left[1:]), None, form.place)
    if form.head != "ECASE" and not left[1:]:
        return _choose(translator, test, body, (), finish)
    return _choose(translator, test, body, (rest,), finish)


def _has_key(translator: Translator, subject: Expression, keys: Datum) -> Expression:
    found = []
    for each in keys.items if isinstance(keys, Form) else (keys,):
        if not isinstance(each, Literal) and not (isinstance(each, Symbol) and each.is_keyword):
            raise translator.untranslatable(each, "it is a symbol as a value")
        found.append(translator.value(each))
    translator.facts.need(subject.fact, found[0].type)
    text = subject.within(COMPARISON + 1)
    if len(found) == 1:
        return Expression(f"{text} == {found[0].text}", "bool", COMPARISON)
    return Expression(f"{text} in ({', '.join(e.text for e in found)})", "bool", COMPARISON)


def _choose(
    translator: Translator,
    test: Expression,
    then: Sequence[Datum],
    otherwise: Sequence[Datum],
    finish: Finish,
) -> Expression:
    if test.text in ("True", "False"):
        return translator.body(then if test.text == "True" else otherwise, finish)
    chosen, first, known = _branch(translator, test, then, finish)
    other, second, also = _branch(translator, negated(test), otherwise, finish)
    if chosen.lines or other.lines:
        return _block(translator, test, (chosen, first, known), (other, second, also))
    if (first, second) == (NIL, NIL):
        return NIL
    if (first.text, second.text) == ("True", "False"):
        return test
    strength = CHOICE + 1
    text = f"{first.within(strength)} if {test.within(strength)} else {second.within(CHOICE)}"
    loose = first.loose or second.loose
    acts = first.acts or second.acts
    return Expression(text, joined(first.type, second.type), CHOICE, loose, acts=acts)


Branch = tuple[Suite, Expression, set[str]]


def _branch(
    translator: Translator, test: Expression, body: Sequence[Datum], finish: Finish
) -> Branch:
    """Translate a branch, in which its test holds; return its lines, its value, what it knows."""
    with translator.writing(Suite()) as suite, translator.inner():
        if test.text.endswith(" is not None") and test.strength == COMPARISON:
            translator.known.add(test.text[:-12])
        found = translator.body(body, finish)
        return suite, found, set(translator.known)


def _block(translator: Translator, test: Expression, chosen: Branch, other: Branch) -> Expression:
    """Write a choice as a block; a value of it is put in a variable."""
    result = NIL
    if (chosen[1], other[1]) != (NIL, NIL):
        name = translator.fresh("value")
        for suite, found, _ in (chosen, other):
            if not suite.ends:
                suite.assign(name, found.text)
        result = Expression(name, joined(chosen[1].type, other[1].type), loose=True)
    (then, _, known), (otherwise, _, also) = chosen, other
    if not then.lines:
        test, then, otherwise = negated(test), otherwise, then
    translator.suite.block(f"if {test.text}:", then)
    if then.ends:
        translator.suite.lines += otherwise.lines
    elif otherwise.lines:
        translator.suite.block("else:", otherwise)
    if chosen[0].ends != other[0].ends:
        translator.known |= also if chosen[0].ends else known
    else:
        translator.known |= known & also
    return result


def _is_list(translator: Translator, form: Form, want: str) -> Expression:
    found = translator.value(form.rest[0])
    if is_list(found.type):
        return TRUE
    translator.facts.give(found.fact, "list[int]")
    return Expression(f"isinstance({found.text}, (list, tuple))", "bool")


VALUE_FORMS: Mapping[str, ValueForm] = {
    "NOT": _not,
    "NULL": _not,
    "LISTP": _is_list,
    "EQ": _equal,
    "EQL": _equal,
    "EQUAL": _equal,
}
CONTROL_FORMS: Mapping[str, ControlForm] = {
    "IF": _if,
    "WHEN": _when,
    "UNLESS": _unless,
    "COND": _cond,
    "CASE": _case,
    "ECASE": _case,
}

"""Translate forms: each gives an expression, and adds the lines that must come before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import undeclared
from caten_sd.lisp.port.constant_values import constant_of
from caten_sd.lisp.port.local_names import LocalNames
from caten_sd.lisp.port.python_text.expressions import (
    NIL,
    TRUE,
    Expression,
    number,
    text_literal,
)
from caten_sd.lisp.port.python_text.python_types import is_optional, present, value_types
from caten_sd.lisp.port.python_text.suites import Suite, is_read
from caten_sd.lisp.syntax.datum import Character, Datum, Form, Literal, Symbol, brief

Finish = Callable[[Datum], Expression]  # what becomes of the value of the last form of a body
ValueForm = Callable[["Translator", Form, str], Expression]
D = TypeVar("D", bound=Datum)
ControlForm = Callable[["Translator", Form, Finish], Expression]


@attrs.define(eq=False)
class Translator(LocalNames):
    """Translates the body of one function."""

    value_forms: Mapping[str, ValueForm] = attrs.field(kw_only=True)
    control_forms: Mapping[str, ControlForm] = attrs.field(kw_only=True)
    blocks: frozenset[str] = frozenset()  # the names that return-from may have
    exact: bool = True  # a quotient that is a size is checked to be whole

    # Values

    def value(self, datum: Datum, want: str = "") -> Expression:
        """Return the value of a form; of several values the first."""
        found = self.values(datum, want)
        if found.values is not None:
            found = found.values[0] if found.values else NIL
        elif value_types(found.type):
            first = value_types(found.type)[0]
            found = Expression(f"{found.operand}[0]", first, loose=found.loose)
        return self.fitted(found, want)

    def value_for(self, fact: str, datum: Datum) -> Expression:
        """Return the value of a form for what holds it: a whole number if that is a size."""
        return self.value(datum, "int" if self.facts.is_size(fact) else "")

    def values(self, datum: Datum, want: str = "") -> Expression:
        """Return the value of a form, or its several values."""
        if isinstance(datum, Literal):
            return self.literal(datum)
        if isinstance(datum, Symbol):
            return self.variable(datum)
        if datum.tail is None and datum.head in self.control_forms:
            return self.control(datum, lambda last: self.value(last, want))
        if not datum.head:
            raise self.untranslatable(datum)
        owners = (self.functions, self.names.classes, self.names.functions)
        known = datum.tail is None and datum.head in self.value_forms
        own = not known or any(datum.head in each for each in owners)
        lines = len(self.suite.lines)
        try:
            return self._translated(self.value_forms["FUNCALL" if own else datum.head], datum, want)
        except LispError:
            constant = constant_of(self.names.evaluator, datum)
            if constant is None:
                raise
            del self.suite.lines[lines:]  # which read no variable
            return constant

    def _translated(self, form: ValueForm, datum: Form, want: str) -> Expression:
        try:
            return form(self, datum, want)
        except (ArithmeticError, LookupError, ValueError) as error:
            raise self.untranslatable(datum, "it is not whole") from error

    def control(self, datum: Form, finish: Finish) -> Expression:
        """Translate a form that chooses, binds or repeats."""
        try:
            return self.control_forms[datum.head](self, datum, finish)
        except (ArithmeticError, LookupError, ValueError) as error:
            raise self.untranslatable(datum, "it is not whole") from error

    def literal(self, datum: Literal) -> Expression:
        """Return a number or a string."""
        value = datum.value
        if isinstance(value, Character):
            raise self.untranslatable(datum)
        return Expression(text_literal(value), "str") if isinstance(value, str) else number(value)

    def variable(self, symbol: Symbol) -> Expression:
        """Return the value of a variable, a constant or a keyword."""
        if symbol.is_keyword:
            return Expression(text_literal(symbol.name.lower()), "str")
        if symbol.name in self.scope:
            found = self.scope[symbol.name]
            self.require(found.fact, symbol)
            return self.retyped(found)
        if symbol.name in ("NIL", "T"):
            return NIL if symbol.name == "NIL" else TRUE
        if symbol.name == "PI":
            return Expression(self.imports.use("math", "") + ".pi", "float")
        if symbol.name in self.names.variables:
            name = self.names.variables[symbol.name]
            self.require(name, symbol)
            return Expression(name, self.facts.type_of(name), fact=name)
        self.names.require_variable(symbol, self.scope)
        raise self.untranslatable(symbol)

    def retyped(self, expression: Expression) -> Expression:
        """Return an expression with the type that is known by now."""
        type_ = self.facts.type_of(expression.fact) if expression.fact else expression.type
        if expression.text in self.known and is_optional(type_):
            type_ = present(type_)
        return attrs.evolve(expression, type=type_ or expression.type)

    def items(self, data: Sequence[Datum], want: str = "") -> list[Expression]:
        """Return the values of several forms, in order."""
        return self.in_order(data, lambda each: self.value(each, want))

    def in_order(self, data: Sequence[D], value: Callable[[D], Expression]) -> list[Expression]:
        """Return several values; LispError if one reads a variable that a later one sets."""
        found: list[Expression] = []
        for each in data:
            start = len(self.suite.lines)
            result = value(each)
            lines = Suite(self.suite.lines[start:]).flat()
            changed = {name for line in lines for name in line.targets}
            if any(is_read(name, before.text) for name in changed for before in found):
                raise self.untranslatable(each, "it sets a variable that is read before it")
            found.append(result)
        return found

    # Bodies

    def body(self, forms: Sequence[Datum], finish: Finish) -> Expression:
        """Translate forms in order; the last one is finished by a function."""
        forms = undeclared(forms)
        for each in forms[:-1]:
            self.discard(each)
        return finish(forms[-1]) if forms else finish(Symbol("NIL", "nil"))

    def discard(self, datum: Datum) -> Expression:
        """Translate a form for what it does."""
        if isinstance(datum, Form) and datum.head in self.control_forms:
            return self.control(datum, self.discard)
        found = self.values(datum)
        if found.acts:
            self.suite.add(found.text)
        return NIL

    def answer(self, datum: Datum) -> Expression:
        """Translate a form whose value the function returns."""
        if isinstance(datum, Form) and datum.head in self.control_forms:
            return self.control(datum, self.answer)
        self.give(self.values(datum))
        return NIL

    def give(self, found: Expression) -> None:
        """Return a value from the function."""
        if self.suite.ends:
            return
        type_ = found.type
        if found.values is not None:
            known = all(each.type for each in found.values)
            type_ = f"tuple[{', '.join(each.type for each in found.values)}]" if known else ""
        self.facts.flow(self.result_fact, attrs.evolve(found, type=type_))
        loose = found.loose and found.values is None and type_ not in ("", "Any")
        if loose:
            self.suite.assign("output", found.text, self.annotation(type_))
        self.suite.add(f"return {'output' if loose else found.text}")

    def require(self, fact: str, datum: Datum) -> None:
        """Raise LispError for a use of a slot, a function or a constant that is not translated."""
        if self.facts.is_missing(fact):
            shown = brief(datum.items[0] if isinstance(datum, Form) else datum, 40)
            raise LispError(
                datum.place, f"{shown} is defined by what is not translated", "correct that first"
            )

    def untranslatable(self, datum: Datum, why: str = "") -> LispError:
        """Return the error for a form that has no translation."""
        shown = brief(datum.items[0] if isinstance(datum, Form) else datum, 40)
        return LispError(
            datum.place,
            f"{shown} is not translated to Python{f' ({why})' * bool(why)}",
            "write it in another way in Lisp, or complete the Python by hand",
        )

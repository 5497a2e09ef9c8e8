"""Translate forms: each gives an expression, and adds the lines that must come before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.grammar import undeclared
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.port.facts import Facts, device_fact
from caten_sd.lisp.port.ported_classes import PortedFunction, PortedNames
from caten_sd.lisp.port.ported_imports import PortedImports
from caten_sd.lisp.port.python_text.expressions import (
    NIL,
    TRUE,
    Expression,
    indexed,
    number,
    text_literal,
)
from caten_sd.lisp.port.python_text.python_types import NONE, is_optional, present, value_types
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.syntax.datum import Character, Datum, Form, Literal, Symbol, brief

Finish = Callable[[Datum], Expression]  # what becomes of the value of the last form of a body
ValueForm = Callable[["Translator", Form, str], Expression]
ControlForm = Callable[["Translator", Form, Finish], Expression]


@attrs.define(eq=False)
class Translator:
    """Translates the body of one function; what it learns about types is kept in the facts."""

    names: PortedNames
    facts: Facts
    imports: PortedImports
    value_forms: Mapping[str, ValueForm]
    control_forms: Mapping[str, ControlForm]
    unit: str = ""  # the definition that is being written
    result_fact: str = ""
    blocks: frozenset[str] = frozenset()  # the names that return-from may have
    taken: set[str] = attrs.field(factory=set)  # names of Python in this function
    scope: dict[str, Expression] = attrs.field(factory=dict)
    functions: dict[str, PortedFunction] = attrs.field(factory=dict)
    suite: Suite = attrs.field(factory=Suite)
    known: set[str] = attrs.field(factory=set)  # what is known not to be None here
    exact: bool = True  # a quotient that is a size is checked to be whole
    device: str = ""  # where a forward pass makes new tensors
    builds: bool = False  # constants are tensors, as in a slot
    lists: dict[str, Expression] = attrs.field(factory=dict)  # that variables hold
    pinned: set[str] = attrs.field(factory=set)  # names that a local function reads

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
        own = {*self.functions, *self.names.classes, *self.names.functions}
        known = datum.tail is None and datum.head in self.value_forms.keys() - own
        form = self.value_forms[datum.head if known else "FUNCALL"]
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
            return self.retyped(self.scope[symbol.name])
        if symbol.name in ("NIL", "T"):
            return NIL if symbol.name == "NIL" else TRUE
        if symbol.name == "PI":
            return Expression(self.imports.use("math", "") + ".pi", "float")
        if symbol.name in self.names.variables:
            name = self.names.variables[symbol.name]
            return Expression(name, self.facts.type_of(name), fact=name)
        self.names.require_variable(symbol, self.scope)
        raise self.untranslatable(symbol)

    def retyped(self, expression: Expression) -> Expression:
        """Return an expression with the type that is known by now."""
        type_ = self.facts.type_of(expression.fact) if expression.fact else expression.type
        if expression.text in self.known and is_optional(type_):
            type_ = present(type_)
        return attrs.evolve(expression, type=type_ or expression.type)

    def fitted(self, expression: Expression, want: str) -> Expression:
        """Return a value as the place needs it: a whole number, or something that is not None."""
        if not want:
            return expression
        self.facts.need(expression.fact, want)
        if expression.type == "Fraction" and want == "int":
            return self.whole(expression)
        if is_optional(expression.type) and not is_optional(want) and want != "bool":
            return self.present(expression)
        return expression

    def present(self, expression: Expression) -> Expression:
        """Return a value that is not None; what is not known not to be is checked."""
        if not is_optional(expression.type):
            return expression
        if expression.text not in self.known:
            self.suite.add(f"assert {expression.text} is not None")
            self.known.add(expression.text)
        return attrs.evolve(expression, type=present(expression.type))

    def whole(self, expression: Expression) -> Expression:
        """Return a fraction as an integer; what is not whole is refused when it runs."""
        error = self.imports.use("caten_sd", "ModelError")
        name = self.fresh("size")
        self.suite.assign(name, expression.text)
        check = Suite()
        check.add(f'raise {error}(f"the size {{{name}}} is not a whole number")')
        self.suite.block(f"if {name} % 1:", check)
        return Expression(f"int({name})", "int")

    def items(self, data: Sequence[Datum], want: str = "") -> list[Expression]:
        """Return the values of several forms, in order."""
        return [self.value(each, want) for each in data]

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

    # Names and lines

    def fresh(self, name: str) -> str:
        """Return a name that nothing in this function has."""
        found, count = name, 1
        calls = self.facts.calls.get(self.unit, set())
        while found in self.taken or found in self.names.reserved or found in calls:
            count += 1
            found = f"{name}_{count}"
        self.taken.add(found)
        return found

    def bind(self, symbol: Symbol, found: Expression, *, last: bool) -> None:
        """Set a variable of Lisp in its own scope; one that hides another may take its name."""
        if found.text == python_name(symbol) and found.text in self.taken and last:
            self.scope[symbol.name] = found
            return
        name, fact = self.name_for(symbol, last=last), self.fact_of(symbol)
        found = self.fitted(found, "int") if self.facts.is_size(fact) else found
        loose = found.loose and not self.is_typed(symbol)
        self.facts.flow(fact, found)
        self.learn(name, found)
        self.suite.assign(name, found.text, keeps=found.acts)
        self.forget(name)
        if found.items is not None and found.text.startswith("["):
            self.lists[name] = found
        self.scope[symbol.name] = Expression(
            name, found.type, loose=loose, items=indexed(name, found), fact=fact, base=found.base,
            floating=found.floating,
        )  # fmt: skip

    def fact_of(self, symbol: Symbol) -> str:
        """Return the name under which the type of a variable is found out."""
        return f"{self.result_fact} {symbol.place}"

    def where(self) -> list[str]:
        """Return where a new tensor is made; a function without tensors asks its callers."""
        if not self.device and not self.builds:
            self.facts.need(device_fact(self.result_fact), "device")
        return [f"device={self.device}"] if self.device else []

    def forget(self, name: str) -> None:
        """Let no list be written out that reads a variable which gets another value."""
        pattern = re.compile(rf"\b{re.escape(name)}\b")
        kept = {key: each for key, each in self.lists.items() if not pattern.search(each.text)}
        kept.pop(name, None)
        self.lists = kept

    def learn(self, name: str, found: Expression) -> None:
        """Remember whether a place may hold None now."""
        self.known.discard(name)
        if not is_optional(found.type) and found.type != NONE:
            self.known.add(name)

    def is_typed(self, symbol: Symbol) -> bool:
        """Return whether a variable already has a type that an assignment does not change."""
        hidden = self.scope.get(symbol.name)
        return hidden is not None and not hidden.loose and hidden.text == python_name(symbol)

    def loop_name(self, symbol: Symbol) -> str:
        """Return the name of a variable of a loop, which hides none that is read after the loop."""
        name = python_name(symbol)
        hides = any(each.text == name for each in self.scope.values())
        if hides or name in self.names.reserved:
            return self.fresh(name)
        self.taken.add(name)
        return name

    def name_for(self, symbol: Symbol, *, last: bool) -> str:
        """Return the name of a variable: that of one that it hides for good, or a new one."""
        hidden = self.scope.get(symbol.name)
        plain = python_name(symbol)
        if last and hidden is not None and hidden.text == plain and plain not in self.pinned:
            return plain
        return self.fresh(plain)

    @contextmanager
    def inner(self) -> Iterator[None]:
        """Let variables and functions that are bound here end here."""
        scope, functions = dict(self.scope), dict(self.functions)
        try:
            yield
        finally:
            self.scope, self.functions = scope, functions

    @contextmanager
    def writing(self, suite: Suite) -> Iterator[Suite]:
        """Add lines to another suite for a while."""
        outer, known = self.suite, set(self.known)
        self.suite = suite
        try:
            yield suite
        finally:
            self.suite, self.known = outer, known

    def annotation(self, type_: str) -> str:
        """Return a type as an annotation, and import what it names."""
        return self.imports.annotation(type_, self.names.classes)

    def untranslatable(self, datum: Datum, why: str = "") -> LispError:
        """Return the error for a form that has no translation."""
        shown = brief(datum.items[0] if isinstance(datum, Form) else datum, 40)
        return LispError(
            datum.place,
            f"{shown} is not translated to Python{f' ({why})' * bool(why)}",
            "write it in another way in Lisp, or complete the Python by hand",
        )

"""The variables of a function that is written: their names in Python, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.names import python_name
from caten_sd.lisp.port.facts import Facts, device_fact
from caten_sd.lisp.port.ported_classes import PortedFunction, PortedNames
from caten_sd.lisp.port.ported_imports import PortedImports
from caten_sd.lisp.port.python_text.expressions import (
    ATOM,
    COMPARISON,
    Expression,
    indexed,
)
from caten_sd.lisp.port.python_text.python_types import NONE, is_optional, present
from caten_sd.lisp.port.python_text.suites import Suite
from caten_sd.lisp.port.untranslated import Untranslated
from caten_sd.lisp.syntax.datum import Symbol

_ASSERTED = re.compile(r"assert (.+) is not None")


@attrs.define(eq=False)
class LocalNames:
    """The variables and lines of one function; what is learned about types is kept in the facts."""

    names: PortedNames
    facts: Facts
    imports: PortedImports
    untranslated: Untranslated
    caller: str = ""  # the place of the definition that is being written
    result_fact: str = ""
    taken: set[str] = attrs.field(factory=set)  # names of Python in this function
    scope: dict[str, Expression] = attrs.field(factory=dict)
    functions: dict[str, PortedFunction] = attrs.field(factory=dict)
    suite: Suite = attrs.field(factory=Suite)
    known: set[str] = attrs.field(factory=set)  # what is known not to be None here
    device: str = ""  # where a forward pass makes new tensors
    builds: bool = False  # constants are tensors, as in a slot
    lists: dict[str, Expression] = attrs.field(factory=dict)  # that variables hold
    pinned: set[str] = attrs.field(factory=set)  # names that a local function reads

    def fresh(self, name: str) -> str:
        """Return a name that nothing in this function has."""
        found, count = name, 1
        calls = self.facts.calls.get(self.caller, set())
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
        narrow = self.narrow(name, found)
        self.suite.assign(name, narrow.text if narrow else found.text, keeps=found.acts)
        self.forget(name)
        if narrow is not None:
            wide = attrs.evolve(found, text=f"{name}.expand_as({found.like})", strength=ATOM)
            held = attrs.evolve(narrow, text=name, strength=ATOM)
            self.scope[symbol.name] = attrs.evolve(wide, narrow=held, fact=fact, acts=False)
            return
        if found.items is not None and found.text.startswith("["):
            self.lists[name] = found
        self.scope[symbol.name] = Expression(
            name, found.type, loose=loose, items=self.items_of(name, found), fact=fact,
            base=found.base, floating=found.floating,
        )  # fmt: skip

    @property
    def items_fact(self) -> str:
        """The name under which it is found out that an item of a list is set."""
        return self.variable_fact("[]")

    def items_of(self, name: str, found: Expression) -> tuple[Expression, ...] | None:
        """Return the items of a list that a variable holds; no value of one that may be set."""
        items = indexed(name, found)
        if items is None or self.items_fact not in self.facts.set_again:
            return items
        return tuple(attrs.evolve(each, number=None) for each in items)

    def narrow(self, name: str, found: Expression) -> Expression | None:
        """Return a reduction as a variable may hold it, not repeated to the shape of another one.

        It is repeated where it is read, so that neither variable may get another value.
        """
        names = (name, found.like)
        again = any(self.variable_fact(each) in self.facts.set_again for each in names)
        alone = found.like.isidentifier() and found.like != name
        return found.narrow if alone and not again else None

    def variable_fact(self, text: str) -> str:
        """Return the name under which it is found out that a variable is set again."""
        return f"{self.result_fact} {text.partition('.')[0]}"

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
            self.facts.sets_again(self.variable_fact(plain))
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

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back the lines of what ends in an error, which is raised, and what they tell."""
        start = len(self.suite.lines)
        try:
            yield
        except (LispError, RecursionError):
            for line in Suite(self.suite.lines[start:]).flat():
                for name in (*line.names, *_ASSERTED.findall(line.text)):
                    self.known.discard(name)
                    self.lists.pop(name, None)
            del self.suite.lines[start:]
            raise

    def annotation(self, type_: str) -> str:
        """Return a type as an annotation, and import what it names."""
        return self.imports.annotation(type_, self.names.classes)

    # Values as their places need them

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
            self.suite.add(f"assert {expression.within(COMPARISON + 1)} is not None")
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

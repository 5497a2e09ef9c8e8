"""Run a loop: set its variables, gather values, and end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.evaluation.evaluator import Evaluator
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.arithmetic import add, checked_integer, checked_number, subtract
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.functions.lists import Vector, as_list, car, cdr, elements, is_pair, items_in
from caten_sd.lisp.functions.predicates import is_true
from caten_sd.lisp.special_forms.loop_clauses import (
    LoopBody,
    LoopChoice,
    LoopClauses,
    LoopDo,
    LoopEquals,
    LoopGather,
    LoopHead,
    LoopNumbers,
    LoopOver,
    LoopRepeat,
    LoopReturn,
    LoopTest,
    LoopWith,
)
from caten_sd.lisp.syntax.datum import Datum, Form, Symbol, brief

_NOTHING: Mapping[str, Any] = {"SUM": 0, "COUNT": 0}


class _Ended(Exception):  # noqa: N818  # it is not an error: a test ended the loop
    """A test of the loop ended it; ``found`` is the value of one that returns it at once."""

    def __init__(self, found: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.found = found


@attrs.define
class LoopRun:
    """One run of a loop."""

    evaluator: Evaluator
    form: Form
    clauses: LoopClauses
    _scope: Scope = attrs.field(factory=Scope)
    _gathered: dict[str, Any] = attrs.field(factory=dict)

    def run(self, scope: Scope) -> Any:
        """Run the loop and return its value."""
        self._scope = scope.inner()
        self._prepare(self.clauses.body)
        heads = [self._stepped(each) for each in self.clauses.heads]
        self.evaluator.body(self.clauses.initially, self._scope)
        try:
            while all(next(head, False) for head in heads):
                self.evaluator.spend(1, self.form.place)
                self._do(self.clauses.body)
        except _Ended as end:
            if end.found:
                return end.found[0]
        self.evaluator.body(self.clauses.finally_, self._scope)
        return self._result()

    def _result(self) -> Any:
        if "" in self._gathered:
            value = self._gathered[""]
            if value is None:
                raise LispError(
                    self.form.place,
                    f"{brief(self.form)} finds no number to maximize or minimize",
                    "loop over at least one",
                )
            return as_list(value) if isinstance(value, list) else value
        always = any(
            isinstance(each, LoopTest) and each.verb in ("ALWAYS", "NEVER")
            for each in self.clauses.body
        )
        return always or None

    def _prepare(self, body: tuple[LoopBody, ...]) -> None:
        """Give each variable that values are gathered in its first value."""
        for each in body:
            if isinstance(each, LoopChoice):
                self._prepare(each.then + each.otherwise)
            elif isinstance(each, LoopGather):
                listed = each.verb in ("COLLECT", "APPEND")
                first = [] if listed else _NOTHING.get(each.verb)
                if self._gathered.setdefault(_target(each), first) != first:
                    raise LispError(
                        each.form.place,
                        f"{each.verb.lower()} gathers another kind of value than the clause before",
                        "gather it into a variable",
                    )
                if each.into is not None and each.verb not in ("MAXIMIZE", "MINIMIZE"):
                    self._scope.variables[each.into.name] = _NOTHING.get(each.verb)

    def _value(self, datum: Datum) -> Any:
        return self.evaluator.value(datum, self._scope)

    def _bind(self, variable: Datum, value: Any) -> None:
        """Set a variable, or those of a list to the items of a list."""
        if isinstance(variable, Form):
            for at, each in enumerate(variable.items):
                items = self._items(value)
                self._bind(each, items[at] if at < len(items) else None)
        elif not isinstance(variable, Symbol) or variable.is_keyword:
            raise LispError(variable.place, f"{brief(variable)} is not a variable", "name one")
        elif variable.name != "NIL":
            self._scope.variables[variable.name] = value

    def _stepped(self, head: LoopHead) -> Iterator[bool]:
        """Return an iterator that sets the next value of a variable at each step."""
        if isinstance(head, LoopWith):
            self._bind(head.variable, None if head.form is None else self._value(head.form))
            return itertools.repeat(True)
        if isinstance(head, LoopRepeat):
            return self._repeated(head)
        if isinstance(head, LoopOver):
            return self._over(head)
        return self._numbers(head) if isinstance(head, LoopNumbers) else self._equals(head)

    def _repeated(self, head: LoopRepeat) -> Iterator[bool]:
        count = self.evaluator.apply(checked_integer, [self._value(head.count)], self.form)
        yield from itertools.repeat(True, max(count, 0))

    def _over(self, head: LoopOver) -> Iterator[bool]:
        source = self._value(head.source)
        by = cdr if head.by is None else self._value(head.by)
        if isinstance(source, (Vector, str)) != (head.how == "ACROSS"):
            kind = "vector" if head.how == "ACROSS" else "list"
            raise LispError(
                head.source.place, f"{text_of(source)} is not a {kind}", f"loop over a {kind}"
            )
        if head.how == "ACROSS" or (by is cdr and head.how == "IN"):
            for item in self.evaluator.apply(elements, [source], self.form):
                self._bind(head.variable, item)
                yield True
            return
        while is_pair(source) if head.how == "ON" else source is not None:
            self._bind(head.variable, car(source) if head.how == "IN" else source)
            yield True
            source = self.evaluator.apply(by, [source], self.form)
        if head.how == "ON" and isinstance(head.variable, Symbol):
            self._bind(head.variable, source)

    def _items(self, value: Any) -> list[Any]:
        items: list[Any] = self.evaluator.apply(items_in, [value], self.form)
        return items

    def _numbers(self, head: LoopNumbers) -> Iterator[bool]:
        value: Any = 0 if head.start is None else self._number(head.start)
        end: Any = None if head.end is None else self._number(head.end)
        by: Any = 1 if head.by is None else self._number(head.by)
        step = subtract if head.down else add
        self._bind(head.variable, value)
        while end is None or _within(value, end, head):
            yield True
            if isinstance(head.variable, Symbol):  # the body may have set it
                value = self._scope.variables.get(head.variable.name, value)
            value = step(value, by)
            self._bind(head.variable, value)

    def _number(self, datum: Datum) -> Any:
        return self.evaluator.apply(checked_number, [self._value(datum)], self.form)

    def _equals(self, head: LoopEquals) -> Iterator[bool]:
        self._bind(head.variable, self._value(head.first))
        while True:
            yield True
            self._bind(head.variable, self._value(head.then))

    def _do(self, body: tuple[LoopBody, ...]) -> None:
        for each in body:
            if isinstance(each, LoopTest):
                self._test(each)
            elif isinstance(each, LoopGather):
                self._gather(each)
            elif isinstance(each, LoopDo):
                self.evaluator.body(each.forms, self._scope)
            elif isinstance(each, LoopReturn):
                raise _Ended((self.evaluator.values(each.form, self._scope),))
            else:
                chosen = is_true(self._value(each.test)) != each.negated
                self._do(each.then if chosen else each.otherwise)

    def _test(self, test: LoopTest) -> None:
        value = self._value(test.form)
        holds = is_true(value)
        if test.verb in ("WHILE", "UNTIL"):
            if holds == (test.verb == "UNTIL"):
                raise _Ended
        elif test.verb == "THEREIS":
            if holds:
                raise _Ended((value,))
        elif holds == (test.verb == "NEVER"):
            raise _Ended((None,))

    def _gather(self, clause: LoopGather) -> None:
        value, target = self._value(clause.form), _target(clause)
        old = self._gathered[target]
        if clause.verb == "COLLECT":
            old.append(value)
        elif clause.verb == "APPEND":
            old += self._items(value)
            self.evaluator.spend(len(self._items(value)), self.form.place)
        else:
            function = {"SUM": add, "COUNT": _counted, "MAXIMIZE": _most, "MINIMIZE": _least}
            new = self.evaluator.apply(function[clause.verb], [old, value], self.form)
            self._gathered[target] = new
        if clause.into is not None:
            now = self._gathered[target]
            self._scope.variables[clause.into.name] = as_list(now) if isinstance(now, list) else now


def _target(clause: LoopGather) -> str:
    return "" if clause.into is None else clause.into.name


def _within(value: Any, end: Any, head: LoopNumbers) -> bool:
    if value == end:
        return head.inclusive
    return bool(value > end) if head.down else bool(value < end)


def _counted(count: Any, value: Any) -> Any:
    return add(count, int(is_true(value)))


def _most(old: Any, value: Any) -> Any:
    number = checked_number(value)
    return number if old is None else max(old, number)


def _least(old: Any, value: Any) -> Any:
    number = checked_number(value)
    return number if old is None else min(old, number)

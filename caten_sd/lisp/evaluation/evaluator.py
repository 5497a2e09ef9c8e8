"""Evaluate forms of a Lisp file within bounds: scopes, functions, special forms, steps.

The values are those of Python: nil is None, t is True, a list that is not empty is a list, a
symbol is itself, and a function is anything that can be called.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import attrs

from caten_sd.errors import CatenError, LispError
from caten_sd.lisp.definitions.definition import Definitions
from caten_sd.lisp.definitions.lambda_lists import LambdaList
from caten_sd.lisp.evaluation.arity import arity_problem
from caten_sd.lisp.evaluation.binding import Binding
from caten_sd.lisp.evaluation.scopes import BlockExit, PlaceVariable, Scope
from caten_sd.lisp.functions.lisp_values import Function, first_value
from caten_sd.lisp.syntax.datum import (
    CONSTANT_NAMES,
    NOWHERE,
    Datum,
    Form,
    Literal,
    SourcePlace,
    Symbol,
    brief,
)

MOST_STEPS = 300_000  # of one call from Python, with all that it calls
_DATA_OF_A_STEP = 64  # what a form may list, besides forms, for the step that it costs
DEEPEST_CALL = 150  # forms that wait for each other; Python's own limit is not much higher

SpecialForm: TypeAlias = Callable[["Evaluator", Form, Scope], Any]
Resolver: TypeAlias = Callable[[str], Function | None]


class _Run(threading.local):
    """What is spent, and which global variables are rebound, by the calls of one thread."""

    steps = depth = 0
    place = NOWHERE
    rebound: dict[str, Any] | None = None


@attrs.define(eq=False, repr=False)
class Evaluator:
    """Evaluates the forms of one file; ``resolvers`` find its functions by name, first to last."""

    definitions: Definitions
    special_forms: Mapping[str, SpecialForm]
    constants: Mapping[str, Any]
    designators: Mapping[str, int]  # which argument of a function may be the name of a function
    resolvers: list[Resolver] = attrs.field(factory=list)
    setters: list[Resolver] = attrs.field(factory=list)
    known: Mapping[str, str] = attrs.field(factory=dict)  # functions, and how they are written
    places_set: frozenset[str] = frozenset()  # what methods set: slots, accessors in parentheses
    _globals: dict[str, Any] = attrs.field(factory=dict)
    _run: _Run = attrs.field(factory=_Run)

    def __deepcopy__(self, memo: object) -> Evaluator:
        return self  # a model that is copied stays a model of the same file

    def value(self, datum: Datum, scope: Scope) -> Any:
        """Return the value of a form; of several values, the first."""
        return first_value(self.values(datum, scope))

    def values(self, datum: Datum, scope: Scope) -> Any:
        """Return the value of a form, or `MultipleValues`."""
        if isinstance(datum, Literal):
            return datum.value
        if isinstance(datum, Symbol):
            return self.variable(datum, scope)
        run = self._run
        if not 0 < run.depth < DEEPEST_CALL:
            self._begin(datum.place)
        run.depth += 1
        run.steps -= 1
        try:
            return self._form(datum, scope)
        except RecursionError:
            raise _too_deep(datum.place) from None
        finally:
            run.depth -= 1

    def body(self, forms: Sequence[Datum], scope: Scope) -> Any:
        """Evaluate forms one after another and return what the last one gives."""
        for form in forms[:-1]:
            self.values(form, scope)
        return self.values(forms[-1], scope) if forms else None

    @contextmanager
    def entered(self, place: SourcePlace) -> Iterator[None]:
        """Count a call that waits for an inner one; the outermost one may spend all steps."""
        run = self._run
        if not 0 < run.depth < DEEPEST_CALL:
            self._begin(place)
        run.depth += 1
        try:
            yield
        except RecursionError:
            raise _too_deep(place) from None
        finally:
            run.depth -= 1

    def _begin(self, place: SourcePlace) -> None:
        run = self._run
        if run.depth:
            raise _too_deep(place)
        run.steps, run.place = MOST_STEPS, NOWHERE

    @property
    def place(self) -> SourcePlace:
        """The place of the last call, or `NOWHERE` if Python made it."""
        return self._run.place

    def spend(self, steps: int, place: SourcePlace) -> None:
        """Count work that is about to be done; LispError if it is too much."""
        self._run.steps -= steps
        if self._run.steps < 0:
            raise LispError(
                place,
                f"this takes more than {MOST_STEPS:,} steps",
                "correct the number of repetitions, or make the model smaller",
            )

    def _form(self, form: Form, scope: Scope) -> Any:
        head = form.items[0]
        self.spend(form.size // _DATA_OF_A_STEP, form.place)
        if form.tail is not None:
            raise LispError(form.place, f"{brief(form)} has a dot", "remove it")
        if isinstance(head, Symbol) and not head.is_keyword:
            special = self.special_forms.get(head.name)
            if special is not None:
                return special(self, form, scope)
            function = self.function(head, scope)
        elif isinstance(head, Form) and head.head == "LAMBDA":
            function = self.value(head, scope)
        else:
            raise LispError(form.place, f"{brief(head)} is not a function", "begin with its name")
        arguments = [self.value(each, scope) for each in form.rest]
        at = self.designators.get(form.head, len(arguments))
        if at < len(arguments) and _is_name(arguments[at]):
            arguments[at] = self.function(arguments[at], Scope())
        return self.apply(function, arguments, form)

    def apply(self, function: Any, arguments: Sequence[Any], form: Form) -> Any:
        """Call a function; LispError with the form's place if it fails."""
        if not callable(function):
            raise LispError(
                form.place, f"{brief(form)} calls {function!r}", "call a function, as #'name"
            )
        self._run.place = form.place
        self.spend(_work(*arguments), form.place)
        try:
            value = function(*arguments)
        except (LispError, BlockExit, RecursionError):
            raise
        except CatenError as error:
            problem, _, remedy = str(error).rpartition("; ")
            where = f"{brief(form)}: {problem or remedy}"
            raise LispError(
                form.place, where, remedy if problem else "correct its arguments"
            ) from error
        except Exception as error:
            problem = arity_problem(function, arguments) or f"fails ({_reason(error)})"
            raise LispError(
                form.place, f"{brief(form)} {problem}", "correct its arguments"
            ) from error
        self.spend(_work(value), form.place)
        return value

    def function(self, symbol: Symbol, scope: Scope) -> Function:
        """Return the function of a name; LispError, with the nearest names, if there is none."""
        name = symbol.name
        for each in scope.outwards():
            if name in each.functions:
                return each.functions[name]
        for resolve in self.resolvers:
            if (found := resolve(name)) is not None:
                return found
        raise self.unknown(symbol, "function", {*self.known, *self.special_forms})

    def setter(self, name: str) -> Function | None:
        """Return the function that sets a place of this name to a value, or None."""
        found = (resolve(name) for resolve in self.setters)
        return next((each for each in found if each is not None), None)

    def variable(self, symbol: Symbol, scope: Scope) -> Any:
        """Return the value of a variable; LispError, with the nearest names, if there is none."""
        if symbol.is_keyword:
            return symbol
        name = symbol.name
        holder = scope.holder(name)
        if holder is not None:
            value = holder.variables[name]
            return value.read() if isinstance(value, PlaceVariable) else value
        for known in (self._run.rebound or {}, self._globals, self.constants):
            if name in known:
                return known[name]
        definition = self.definitions.variables.get(name)
        if definition is None or definition.form is None:
            visible = {each for known in scope.outwards() for each in known.variables}
            raise self.unknown(symbol, "variable", visible | set(self.definitions.variables))
        self._globals[name] = value = self.value(definition.form, Scope())
        return value

    def set_variable(self, symbol: Symbol, scope: Scope, value: Any) -> None:
        """Set a variable, or the slot whose value it is."""
        name = symbol.name
        if name in CONSTANT_NAMES:
            raise LispError(symbol.place, f"{symbol} is a constant", "set a variable")
        holder = scope.holder(name)
        if holder is not None:
            old = holder.variables[name]
            if isinstance(old, PlaceVariable):
                old.write(value)
            else:
                holder.variables[name] = value
        elif self._run.rebound and name in self._run.rebound:
            self._run.rebound[name] = value
        elif self.is_global(symbol):
            self._globals[name] = value
        else:
            visible = {each for known in scope.outwards() for each in known.variables}
            raise self.unknown(symbol, "variable", visible)

    def is_global(self, symbol: Symbol) -> bool:
        """Return whether a variable is global, so that ``let`` rebinds it for all that it calls."""
        return symbol.name in self.definitions.variables or symbol.name in self.constants

    @contextmanager
    def rebinding(self, variables: Mapping[str, Any]) -> Iterator[None]:
        """Give global variables other values for a while."""
        before = self._run.rebound
        self._run.rebound = {**(before or {}), **variables}
        try:
            yield
        finally:
            self._run.rebound = before

    def bound(
        self, arguments: LambdaList, values: Sequence[Any], scope: Scope, called: str
    ) -> Scope:
        """Return a scope with arguments bound to values; LispError if they do not match."""
        self.spend(len(arguments.arguments) // _DATA_OF_A_STEP, arguments.place)
        return Binding(arguments, called, scope.inner(), self.value, self.place).bind(list(values))

    def unknown(self, symbol: Symbol, what: str, known: Iterable[str]) -> LispError:
        """Return the error for a name that has no value: why not, or which names are near."""
        skipped = self.definitions.skipped.get(symbol.name)
        if skipped is not None:
            return LispError(
                symbol.place,
                f"{symbol} is used here, and ({skipped.head} {symbol}) at {skipped.place} is not "
                f"read ({skipped.why})",
                "define it with defun, defparameter or defmodel",
            )
        near = difflib.get_close_matches(symbol.name[:60], sorted(known), 3)
        names = " or ".join(self.known.get(each, each.lower()) for each in near)
        remedy = f"did you mean {names}?" if near else f"define it in the file, or replace {symbol}"
        return LispError(symbol.place, f"the {what} {symbol} is not known", remedy)


def _reason(error: Exception) -> str:
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if re.match(r"\S*\(\) (takes|missing|got)", str(error)):  # Python names its function there
        return "a function that it calls takes other arguments"
    if found := re.search(r"tried to allocate (\d+) bytes", str(error)):
        return f"there is no memory for the {int(found[1]):,} bytes of a tensor"
    return str(error).partition("\n")[0]


def _is_name(value: Any) -> bool:
    return isinstance(value, Symbol) and not value.is_keyword


def _work(*values: Any) -> int:
    """Return how many steps it costs to copy the lists among values."""
    return sum(len(each) for each in values if isinstance(each, (list, str))) // 8


def _too_deep(place: SourcePlace) -> LispError:
    return LispError(
        place,
        f"more than {DEEPEST_CALL} forms wait for each other here",
        "end the recursion earlier",
    )

"""Bind the values of a call to the arguments of a lambda list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from caten_sd.errors import LispError
from caten_sd.lisp.definitions.lambda_lists import Argument, LambdaList
from caten_sd.lisp.evaluation.scopes import Scope
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.functions.lists import as_list
from caten_sd.lisp.syntax.datum import NOWHERE, Datum, SourcePlace, Symbol
from caten_sd.wording import counted

_NO_VALUE = object()


@attrs.define
class Binding:
    """Binds values to the arguments of a lambda list, each default in the scope so far."""

    arguments: LambdaList
    called: str
    scope: Scope
    value: Callable[[Datum, Scope], Any]
    place: SourcePlace

    def bind(self, values: list[Any]) -> Scope:
        """Return the scope with every argument bound; LispError if the values do not match."""
        required = self.arguments.of_kind("required")
        optional = self.arguments.of_kind("optional")
        if len(values) < len(required):
            missing = [str(each) for each in required[len(values) :]]
            lacking = "is missing" if len(missing) == 1 else "are missing"
            raise self._wrong(f"{', '.join(missing)} of {self.called} {lacking}")
        for argument in required:
            self.scope.variables[argument.symbol.name] = values.pop(0)
        for argument in optional:
            self._bind(argument, values[:1])
            del values[:1]
        for argument in self.arguments.of_kind("rest"):
            self.scope.variables[argument.symbol.name] = as_list(values)
        self._keys(values)
        for argument in self.arguments.of_kind("aux"):
            self._bind(argument, [])
        return self.scope

    def _bind(self, argument: Argument, given: list[Any]) -> None:
        if not given and argument.default is not None:
            value = self.value(argument.default, self.scope)
        else:
            value = given[0] if given else None
        self.scope.variables[argument.symbol.name] = value
        if argument.supplied is not None:
            self.scope.variables[argument.supplied.name] = bool(given) or None

    def _keys(self, values: list[Any]) -> None:
        keys = self.arguments.of_kind("key")
        if not keys and not self.arguments.allows_others:
            if values and not self.arguments.of_kind("rest"):
                raise self._wrong(f"{self.called} has {counted(len(values), 'argument')} too many")
            return
        given = self._given(values)
        names = {argument.keyword.name for argument in keys if argument.keyword is not None}
        unknown = [each for each in given if each not in names]
        if unknown and not self.arguments.allows_others and not given.get("ALLOW-OTHER-KEYS"):
            raise self._wrong(f":{unknown[0].lower()} is not a key of {self.called}")
        for argument in keys:
            name = argument.keyword.name if argument.keyword is not None else ""
            self._bind(argument, [given[name]] if name in given else [])

    def _given(self, values: list[Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for key, value in zip(values[::2], [*values[1::2], _NO_VALUE], strict=False):
            if not isinstance(key, Symbol) or not key.is_keyword:
                raise self._wrong(f"{self.called} has the argument {text_of(key)} too many")
            if value is _NO_VALUE:
                raise self._wrong(f":{key.name.lower()} of {self.called} has no value")
            given.setdefault(key.name, value)
        return given

    def _wrong(self, problem: str) -> LispError:
        return LispError(
            self.arguments.place if self.place is NOWHERE else self.place,
            problem,
            f"the arguments are {self.arguments}; correct the call",
        )

"""Generic functions: a function whose methods anybody may add to, chosen as CLOS chooses."""

from __future__ import annotations

import inspect
from abc import get_cache_token
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

from multipledispatch.dispatcher import Dispatcher

from caten_sd.combination import effective
from caten_sd.errors import DispatchError, DuplicateMethodError, NoApplicableMethodError
from caten_sd.foreign import ForeignPackages
from caten_sd.method import (
    NEXT,
    Classes,
    Method,
    class_names,
    expand,
    label,
    parameters,
    same_source,
)
from caten_sd.precedence import applies, ordered

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

SHOWN = 8


class GenericFunction(Dispatcher, Generic[P, R]):  # type: ignore[misc]
    """A function that dispatches on its required positional arguments; made by ``@generic``."""

    foreign = ForeignPackages("caten_sd.adapters", "caten_sd.adapters")

    def __init__(self, definition: Callable[P, R], arity: int) -> None:
        super().__init__(definition.__name__)
        update_wrapper(self, definition)
        self.arity = arity
        self._methods: dict[tuple[str, Classes], Method] = {}
        self._token = get_cache_token()
        self._lock = Lock()

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the methods that answer for the classes of the required positional arguments."""
        if self._token != get_cache_token():
            self.clear_cache()
        try:
            method = self._cache[tuple(map(type, args[: self.arity]))]
        except KeyError:
            method = self._method_for(args)
        return method(*args, **kwargs)  # type: ignore[no-any-return]

    def register(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method for arguments of these classes; what is left out is ``object``."""
        return self._registrar("primary", types)

    def around(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs instead of the rest and gets it as ``call_next_method``."""
        return self._registrar("around", types)

    def before(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs before the primary method; its value is dropped."""
        return self._registrar("before", types)

    def after(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs after the primary method; its value is dropped."""
        return self._registrar("after", types)

    def _registrar(self, qualifier: str, types: tuple[Any, ...]) -> Callable[[F], F]:
        signatures = list(expand(types, self.arity, self.__name__))

        def add(function: F) -> F:
            for classes in signatures:
                self.add(classes, function, qualifier)
            return function

        return add

    def add(
        self, signature: tuple[Any, ...], func: Callable[..., Any], qualifier: str = "primary"
    ) -> None:
        """Add one method; ``register`` and its siblings are the decorators over this."""
        wants_next = self._wants_next(func, qualifier)
        for classes in expand(signature, self.arity, self.__name__):
            with self._lock:
                self._put(Method(qualifier, classes, func, wants_next))

    def _put(self, method: Method) -> None:
        key = method.qualifier, method.classes
        known = self._methods.get(key)
        if known is not None and not same_source(known.function, method.function):
            raise DuplicateMethodError(
                f"{self.__name__} has a method {known} already; {label(method.function)} would "
                f"replace it: register it for another class, or give it the same name to redefine"
            )
        # A new dict, so that a thread which is choosing a method goes on with the old one.
        self._methods = {**self._methods, key: method}
        self.funcs = {c: m.function for (q, c), m in self._methods.items() if q == "primary"}
        self._ordering_reset()
        self.clear_cache()

    def _ordering_reset(self) -> None:
        if hasattr(self, "_ordering"):
            del self._ordering

    def _wants_next(self, function: Callable[..., Any], qualifier: str) -> bool:
        found = parameters(function)
        wants = bool(found) and found is not None and found[0].name == NEXT
        if qualifier == "around" and not wants:
            raise DispatchError(
                f"{label(function)} is an around method of {self.__name__}; name its first "
                f"parameter {NEXT}"
            )
        if qualifier in ("before", "after") and wants:
            raise DispatchError(
                f"{label(function)} is a {qualifier} method of {self.__name__} and has no next "
                f"method; drop its parameter {NEXT}"
            )
        return wants

    def clear_cache(self) -> None:
        """Forget which method answers for which classes; the next call chooses again."""
        self._token = get_cache_token()
        # A new dict: a choice made from older methods is stored where nobody looks.
        self._cache: dict[Any, Callable[..., Any]] = {}

    def dispatch(self, *types: type) -> Callable[..., Any]:
        """What a call with arguments of exactly these classes runs."""
        self.foreign.meet(types)
        while True:
            method = effective(self._methods.values(), types, self.__name__)
            if method is not None:
                return method
            if not self.foreign.load_announced():
                raise NoApplicableMethodError(self._missing(types))

    def _method_for(self, args: tuple[Any, ...]) -> Callable[..., Any]:
        types = tuple(map(type, args[: self.arity]))
        if len(types) < self.arity:
            raise NoApplicableMethodError(
                f"{self.__name__}{inspect.signature(self)} takes {self.arity} positional "
                f"argument{'s' * (self.arity != 1)}, but {len(types)} came"
            )
        cache = self._cache
        method = cache[types] = self.dispatch(*types)
        return method

    def _missing(self, types: Classes) -> str:
        known = [f"({class_names(m.classes)})" for m in self.methods() if m.qualifier == "primary"]
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        only = ", only around, before or after methods do" if self.methods(*types) else ""
        broken = "".join(
            f"; the entry point {n} could not be loaded ({e})"
            for n, e in self.foreign.failures.items()
        )
        return (
            f"no method of {self.__name__} takes ({class_names(types)}){only}; known are "
            f"{', '.join(known[:SHOWN]) or 'none'}{more}; add one with "
            f"@{self.__name__}.register({class_names(types)}){broken}"
        )

    def methods(self, *types: type) -> tuple[Method, ...]:
        """All methods, or those that apply to arguments of these classes, most specific first."""
        if not types:
            return tuple(self._methods.values())
        found = [m for m in self._methods.values() if applies(m, types)]
        return tuple(ordered(found, types, self.__name__))

    def __repr__(self) -> str:
        return f"<generic function {self.__module__}.{self.__qualname__}>"

    __str__ = __repr__

    def __reduce__(self) -> str:
        return str(self.__qualname__)


def generic(definition: Callable[P, R]) -> GenericFunction[P, R]:
    """Make a generic function of a definition: its signature, its docstring, no method yet."""
    required = [
        p for p in inspect.signature(definition).parameters.values() if p.default is p.empty
    ]
    if any(p.kind is p.POSITIONAL_OR_KEYWORD for p in required):
        raise DispatchError(
            f"{label(definition)} dispatches on positions; write a / behind its required parameters"
        )
    arity = sum(p.kind is p.POSITIONAL_ONLY for p in required)
    if not arity:
        raise DispatchError(f"{label(definition)} has no required positional-only parameter")
    return GenericFunction(definition, arity)

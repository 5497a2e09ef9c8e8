"""Generic functions: anybody may add methods, and CLOS's rules choose among them.

>>> @generic
... def size(thing: object, /) -> int:
...     "Return how many parts a thing has."
>>> @size.register((list, tuple))
... def items(thing): return len(thing)
>>> @size.register(bool)
... def bits(thing): return 1
>>> @size.around(object)
... def checked(call_next_method, thing): return abs(call_next_method(thing))
>>> size([1, 2]), size(True)
(2, 1)
"""

from __future__ import annotations

import inspect
from abc import get_cache_token
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

from multipledispatch.dispatcher import Dispatcher

from caten_sd.dispatch.combination import by_role, effective
from caten_sd.dispatch.foreign import ForeignPackages
from caten_sd.dispatch.messages import duplicate, missing, too_few
from caten_sd.dispatch.method import (
    Classes,
    Function,
    Method,
    annotated,
    label,
    method,
    same_source,
    signatures,
)
from caten_sd.errors import DispatchError, DuplicateMethodError, NoApplicableMethodError

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class GenericFunction(Dispatcher, Generic[P, R]):  # type: ignore[misc]
    """A function that dispatches on its required positional arguments; ``@generic`` makes one.

    Only the interface is multipledispatch's: methods are stored and ordered here, so what the
    stock class keeps for itself (``funcs``, ``ordering``) stays empty.
    """

    foreign = ForeignPackages("caten_sd.adapters", "caten_sd.adapters")

    def __init__(self, definition: Callable[P, R], arity: int) -> None:
        super().__init__(definition.__name__)
        update_wrapper(self, definition)
        self.arity = arity
        self._lock = Lock()
        self._methods: dict[tuple[str, Classes], Method] = {}
        self.clear_cache()

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the methods for the classes of the required positional arguments."""
        if self._token != get_cache_token():
            self.clear_cache()
        try:
            run = self._cache[(*map(type, args),)]
        except KeyError:
            run = self._choose(args)
        return run(*args, **kwargs)  # type: ignore[no-any-return]

    def register(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method for arguments of these classes; those left out may be any ``object``.

        Without any class, the annotations of the method say which they are.
        """
        return self._registrar("primary", types)

    def around(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs instead of all others, which it gets as ``call_next_method``."""
        return self._registrar("around", types)

    def before(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs before the primary method; its value is ignored."""
        return self._registrar("before", types)

    def after(self, /, *types: Any) -> Callable[[F], F]:
        """Add a method that runs after the primary method; its value is ignored."""
        return self._registrar("after", types)

    def _registrar(self, qualifier: str, types: tuple[Any, ...]) -> Callable[[F], F]:
        signatures(types, self.arity, self.__name__)  # refused in the line with the classes

        def decorate(function: F) -> F:
            classes = types or annotated(function, self.arity, self.__name__)
            self.add(classes, function, qualifier)
            return function

        return decorate

    def add(self, signature: tuple[Any, ...], func: Function, qualifier: str = "primary") -> None:
        """Add a method; ``register``, ``around``, ``before`` and ``after`` decorate with it."""
        added = [
            method(qualifier, classes, func, self.__name__)
            for classes in signatures(signature, self.arity, self.__name__)
        ]
        with self._lock:
            for each in added:
                self._refuse_duplicate(each)
            # A new dict, since another thread may be choosing a method from the old one.
            self._methods = {**self._methods, **{(m.qualifier, m.classes): m for m in added}}
            self.clear_cache()

    def _refuse_duplicate(self, new: Method) -> None:
        known = self._methods.get((new.qualifier, new.classes))
        if known is not None and not same_source(known.function, new.function):
            raise DuplicateMethodError(duplicate(self.__name__, known, new.function))

    def clear_cache(self) -> None:
        """Forget which method was chosen for which classes.

        ``register`` and ``ABC.register`` do not need this. It is for a class whose ``__bases__``
        were replaced, and to release classes that were dispatched on.
        """
        token = get_cache_token()
        # A new dict: a thread that chose from older methods stores its choice in the old dict.
        self._cache: dict[Any, Function] = {}
        self._token = token

    def dispatch(self, *types: type) -> Function:
        """Return the function that a call with arguments of these classes runs.

        Classes left out are ``object``, as in ``register``.
        """
        if len(types) != self.arity:
            (types,) = signatures(types, self.arity, self.__name__)
        if self._token != get_cache_token():
            self.clear_cache()
        cache, key = self._cache, self._key(types)
        run = cache.get(key)
        if run is None:
            run = cache[key] = self._effective(types)
        return run

    def _effective(self, types: Classes) -> Function:
        self.foreign.import_adapters(types)
        run = effective(self._methods.values(), types, self.__name__)
        if run is None:
            self.foreign.load_entry_points()
            run = effective(self._methods.values(), types, self.__name__)
        if run is None:
            raise NoApplicableMethodError(
                missing(self.__name__, types, self.methods(), self.foreign.failures)
            )
        return run

    def _choose(self, args: tuple[Any, ...]) -> Function:
        types = tuple(map(type, args[: self.arity]))
        if len(types) < self.arity:
            raise NoApplicableMethodError(
                too_few(self.__name__, inspect.signature(self), self.arity, len(types))
            )
        return self.dispatch(*types)

    def _key(self, types: Classes) -> Any:
        return types

    def methods(self, *types: type) -> tuple[Method, ...]:
        """Return all methods, or those for these classes in the order they run.

        Classes left out are ``object``, as in ``register``.
        """
        if not types:
            return tuple(self._methods.values())
        (filled,) = signatures(types, self.arity, self.__name__)
        self.foreign.import_adapters(filled)
        roles = by_role(self._methods.values(), filled, self.__name__)
        return tuple(each for row in roles.values() for each in row)

    def __repr__(self) -> str:
        return f"<generic function {self.__module__}.{self.__qualname__}>"

    __str__ = __repr__

    def __reduce__(self) -> str:
        return str(self.__qualname__)


# Building the key is most of a call's cost, so one to three arguments have classes of their own.


class _OnOne(GenericFunction[P, R]):
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._token != get_cache_token():
            self.clear_cache()
        try:
            run = self._cache[type(args[0])]
        except (KeyError, IndexError):
            run = self._choose(args)
        return run(*args, **kwargs)  # type: ignore[no-any-return]

    def _key(self, types: Classes) -> Any:
        return types[0]


class _OnTwo(GenericFunction[P, R]):
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._token != get_cache_token():
            self.clear_cache()
        try:
            run = self._cache[type(args[0]), type(args[1])]
        except (KeyError, IndexError):
            run = self._choose(args)
        return run(*args, **kwargs)  # type: ignore[no-any-return]


class _OnThree(GenericFunction[P, R]):
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._token != get_cache_token():
            self.clear_cache()
        try:
            run = self._cache[type(args[0]), type(args[1]), type(args[2])]
        except (KeyError, IndexError):
            run = self._choose(args)
        return run(*args, **kwargs)  # type: ignore[no-any-return]


_BY_ARITY: dict[int, type[GenericFunction[Any, Any]]] = {1: _OnOne, 2: _OnTwo, 3: _OnThree}


def generic(definition: Callable[P, R]) -> GenericFunction[P, R]:
    """Return a generic function without methods, with a definition's signature and docstring."""
    if definition.__qualname__.rpartition(".")[0].rpartition(".")[2] not in ("", "<locals>"):
        raise DispatchError(
            f"{label(definition)} is in a class; define generic functions outside of classes"
        )
    required = [
        p for p in inspect.signature(definition).parameters.values() if p.default is p.empty
    ]
    arity = sum(p.kind is p.POSITIONAL_ONLY for p in required)
    if not arity or any(p.kind is p.POSITIONAL_OR_KEYWORD for p in required):
        raise DispatchError(
            f"{label(definition)} does not say what to dispatch on; write a / after its required "
            f"parameters"
        )
    return _BY_ARITY.get(arity, GenericFunction)(definition, arity)

"""Watches: what is told of the calls of one object in a model, its inputs and its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_watches: ContextVar[dict[int, Watch] | None] = ContextVar("watches", default=None)


class Watch:
    """Tell ``entered`` the inputs of each call of an object, and ``left`` its output.

    A call that reaches the object by two ways, such as its class and a generic function, is told
    once.
    """

    def __init__(self, entered: Callable[[Any], None], left: Callable[[Any], None]) -> None:
        self._entered, self._left, self._depth = entered, left, 0

    def enter(self, inputs: Any) -> None:
        """Tell that a call begins."""
        self._depth += 1
        if self._depth == 1:
            self._entered(inputs)

    def leave(self, output: Any) -> None:
        """Tell that a call ends."""
        self._depth -= 1
        if not self._depth:
            self._left(output)


@contextmanager
def watching_calls(owner: Any, watch: Watch) -> Iterator[None]:
    """Tell the watch of each call of this object that `observed` makes in this context."""
    known = _watches.get()
    watches = {} if known is None else known
    token = _watches.set(watches)
    watches[id(owner)] = watch
    try:
        yield
    finally:
        del watches[id(owner)]
        _watches.reset(token)


@contextmanager
def watching_class(owner: Any, watch: Watch) -> Iterator[None]:
    """Tell the watch of each call of an object, by a class that it has in this context.

    >>> class Double:
    ...     def __call__(self, x):
    ...         return 2 * x
    >>> told, model = [], Double()
    >>> with watching_class(model, Watch(told.append, told.append)):
    ...     value = model(21)
    >>> value, told, type(model) is Double
    (42, [((21,), {}), 42], True)
    """
    cls = type(owner)

    def called(self: Any, *inputs: Any, **options: Any) -> Any:
        return observed(cls.__call__, self, *inputs, **options)

    with watching_calls(owner, watch):
        if callable(owner):
            owner.__class__ = type(cls.__name__, (cls,), {"__call__": called})
        try:
            yield
        finally:
            owner.__class__ = cls


def observed(run: Callable[..., Any], model: Any, /, *inputs: Any, **options: Any) -> Any:
    """Return what ``run`` makes of a model and its inputs, and tell the model's watch of it.

    >>> told = []
    >>> model = [2]
    >>> with watching_calls(model, Watch(told.append, told.append)):
    ...     value = observed(lambda model, x: model[0] * x, model, 21)
    >>> value, told
    (42, [((21,), {}), 42])
    """
    watches = _watches.get()
    watch = None if watches is None else watches.get(id(model))
    if watch is None:
        return run(model, *inputs, **options)
    watch.enter((inputs, options))
    output = run(model, *inputs, **options)
    watch.leave(output)
    return output

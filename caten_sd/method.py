"""One method of a generic function: when it applies, what runs, and where it was written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from types import GenericAlias
from typing import Any, NamedTuple

from caten_sd.errors import DispatchError

Classes = tuple[type, ...]

NEXT = "call_next_method"


class Method(NamedTuple):
    """A function that answers for arguments of ``classes``, in the role ``qualifier`` names."""

    qualifier: str
    classes: Classes
    function: Callable[..., Any]
    wants_next: bool

    def __str__(self) -> str:
        role = "" if self.qualifier == "primary" else f"{self.qualifier} "
        return f"{role}({class_names(self.classes)}) {label(self.function)}"


def class_names(classes: Classes) -> str:
    """The names of classes as a message shows them.

    >>> class_names((int, Classes))
    'int, tuple'
    """
    return ", ".join(getattr(cls, "__qualname__", repr(cls)) for cls in classes)


def label(function: Callable[..., Any]) -> str:
    """A function's name, file and line."""
    name = getattr(function, "__qualname__", repr(function))
    file, line = location(function)
    return f"{name} at {file}:{line}" if file else f"{name} of {_module(function)}"


def location(function: Callable[..., Any]) -> tuple[str, int]:
    """File and first line of a Python function, or ``("", 0)`` of anything else."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else ("", 0)


def same_source(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether ``other`` is ``one`` defined again, as a reload or a notebook cell run twice does."""
    if one is other:
        return True
    name = getattr(one, "__qualname__", None)
    if name is None or (_module(one), name) != (
        _module(other),
        getattr(other, "__qualname__", None),
    ):
        return False
    anonymous = name.rpartition(".")[2] in ("_", "<lambda>")
    return not anonymous or location(one) == location(other)


def _module(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__module__", None))


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters of a callable, ``None`` where it does not tell (some built-ins)."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def expand(types: tuple[Any, ...], arity: int, generic: str) -> Iterator[Classes]:
    """Every signature that ``register(*types)`` names: tuples are unions, ``object`` fills up."""
    if len(types) > arity:
        raise DispatchError(
            f"{generic} dispatches on {arity} argument{'s' * (arity != 1)}, but register got "
            f"{len(types)} types; leave out the last {len(types) - arity}"
        )
    filled = [*types, *[object] * (arity - len(types))]
    yield from product(*(tuple(_members(each, generic)) for each in filled))


def _members(each: Any, generic: str) -> Iterator[type]:
    if isinstance(each, tuple) and each:
        for member in each:
            yield from _members(member, generic)
        return
    if not isinstance(each, type) or isinstance(each, GenericAlias) or each is Any:
        raise DispatchError(f"{generic}.register takes classes, not {each!r}; {_remedy(each)}")
    try:
        issubclass(object, each)
    except TypeError as error:
        raise DispatchError(f"{generic} cannot dispatch on {each!r}: {error}") from error
    yield each


def _remedy(each: Any) -> str:
    if each is None:
        return "write type(None)"
    if each is Any:
        return "write object"
    if isinstance(each, str):
        return "write the class itself, not its name"
    if callable(each) and hasattr(each, "__code__"):
        return "write @register(MyType) above the function"
    if getattr(each, "__args__", None) and not isinstance(each, GenericAlias):
        return "write a union as a tuple of classes, (A, B)"
    return "write a class, or a tuple of classes for a union"

"""One method of a generic function: when it applies, what it runs, where it was defined."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from types import GenericAlias, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from caten_sd.errors import DispatchError
from caten_sd.wording import counted

Classes = tuple[type, ...]
Function = Callable[..., Any]

NEXT = "call_next_method"


class Method(NamedTuple):
    """A function for arguments of ``classes``; ``qualifier`` is its role, such as "before"."""

    qualifier: str
    classes: Classes
    function: Function
    wants_next: bool

    def applies(self, types: Classes) -> bool:
        """Return whether this method accepts arguments of exactly these types."""
        return all(map(issubclass, types, self.classes))

    def __str__(self) -> str:
        role = "" if self.qualifier == "primary" else f"{self.qualifier} "
        return f"{role}({class_names(self.classes)}) {label(self.function)}"

    def __repr__(self) -> str:
        return f"<{self}>"


def method(qualifier: str, classes: Classes, function: Function, generic: str) -> Method:
    """Return a Method; DispatchError if its function cannot be called in that role."""
    found = _parameters(function)
    wants = bool(found) and found[0].name == NEXT and found[0].kind in _POSITIONAL
    if qualifier == "around" and not wants:
        raise DispatchError(
            f"the around method {label(function)} of {generic} cannot call the next method; "
            f"name its first parameter {NEXT}"
        )
    if qualifier in ("before", "after") and wants:
        raise DispatchError(
            f"the {qualifier} method {label(function)} of {generic} has no next method; remove "
            f"its parameter {NEXT}"
        )
    taken = sum(each.kind in _POSITIONAL for each in found) - wants
    if taken < len(classes) and not any(each.kind is each.VAR_POSITIONAL for each in found):
        raise DispatchError(
            f"{label(function)} takes {counted(taken, 'positional argument')}, but {generic} calls "
            f"its methods with {len(classes)}; add the missing ones"
        )
    return Method(qualifier, classes, function, wants)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(function: Function) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have no signature
        return [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]


def class_names(classes: Classes) -> str:
    """Return the names of classes for a message.

    >>> class_names((int, Method))
    'int, Method'
    """
    return ", ".join(cls.__qualname__ for cls in classes)


def label(function: Function) -> str:
    """Return a function's name, file and line."""
    file, line = _location(function)
    return f"{_name(function)} at {file}:{line}" if file else f"{_name(function)}"


def same_source(one: Function, other: Function) -> bool:
    """Return whether ``other`` is ``one`` defined again, by a reload or a cell run twice."""
    if one is other:
        return True
    if _name(one) != _name(other) or not hasattr(one, "__qualname__"):
        return False
    anonymous = one.__qualname__.rpartition(".")[2] in ("_", "<lambda>")
    return not anonymous or _location(one) == _location(other)


def _name(function: Function) -> str:
    qualname = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{qualname}" if qualname else repr(function)


def _location(function: Function) -> tuple[str, int]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else ("", 0)


def annotated(function: Function, arity: int, generic: str) -> tuple[Any, ...]:
    """Return the classes that a method's annotations name for the arguments dispatched on.

    DispatchError if one of them is missing, or is not a class or a union of classes.
    """
    found = [each for each in _parameters(function) if each.kind in _POSITIONAL]
    if found and found[0].name == NEXT:
        del found[0]
    try:
        hints = get_type_hints(function)
    except Exception as error:
        raise DispatchError(
            f"the annotations of {label(function)} cannot be read ({error}); write the classes in "
            f"the parentheses of register"
        ) from error
    missing = [each.name for each in found[:arity] if each.name not in hints]
    if missing or len(found) < arity:
        lacks = f"its {missing[0]} has no annotation" if missing else "it takes too few arguments"
        raise DispatchError(
            f"{generic} is to take the classes of {label(function)} from its annotations, and "
            f"{lacks}; annotate it, or write the classes in the parentheses of register"
        )
    return tuple(_classes(hints[each.name]) for each in found[:arity])


def _classes(hint: Any) -> Any:
    """Return the class, or a tuple of the classes of a union, that an annotation means."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(_classes(each) for each in get_args(hint))
    if isinstance(origin := get_origin(hint), type):
        return origin  # the items of a list[str] are not checked
    return object if hint is Any else hint


def signatures(types: tuple[Any, ...], arity: int, generic: str) -> list[Classes]:
    """Return every signature that ``register(*types)`` means.

    A tuple is a union of classes; an argument without a class takes any object.

    >>> signatures(((list, tuple),), 2, "f")
    [(<class 'list'>, <class 'object'>), (<class 'tuple'>, <class 'object'>)]
    """
    if len(types) > arity:
        raise DispatchError(
            f"{generic} dispatches on {counted(arity, 'argument')}, but {len(types)} classes were "
            f"given; leave out the last {len(types) - arity}"
        )
    filled = [*types, *[object] * (arity - len(types))]
    return list(product(*(list(_members(each, generic)) for each in filled)))


def _members(each: Any, generic: str) -> Iterator[type]:
    if isinstance(each, tuple) and each:
        for member in each:
            yield from _members(member, generic)
    elif not isinstance(each, type) or isinstance(each, GenericAlias) or each is Any:
        raise DispatchError(f"{generic} dispatches on classes, not on {each!r}; {_remedy(each)}")
    else:
        try:
            issubclass(object, each)
        except TypeError as error:
            raise DispatchError(
                f"{generic} cannot dispatch on {each!r} ({error}); write a class that "
                f"issubclass accepts"
            ) from error
        yield each


def _remedy(each: Any) -> str:
    if each is None:
        return "write type(None)"
    if each is Any:
        return "write object"
    if isinstance(each, str):
        return "write the class itself, not its name"
    if inspect.isroutine(each):
        return "write the classes in parentheses after register"
    if getattr(each, "__origin__", None) in (list, dict, tuple, set, type):
        return f"write {each.__origin__.__name__}, because the items are not checked"
    return "write one class, or a tuple of classes"

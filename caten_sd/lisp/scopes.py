"""Scopes: variables, local functions and blocks, and how several values leave a form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeAlias

import attrs

from caten_sd.lisp.datum import Symbol, literal_text

Function: TypeAlias = Callable[..., Any]


class MultipleValues(tuple[Any, ...]):
    """What ``values`` gives; all but the first are dropped where one value is wanted."""

    __slots__ = ()


def first_value(value: Any) -> Any:
    """Return the first of multiple values, or the value itself."""
    if isinstance(value, MultipleValues):
        return value[0] if value else None
    return value


@attrs.frozen(eq=False)
class PlaceVariable:
    """A variable whose value is that of a slot, as ``with-slots`` binds it."""

    read: Callable[[], Any]
    write: Callable[[Any], None]


class BlockExit(Exception):  # noqa: N818  # it is not an error: it ends a block
    """The way out of a block with its value."""

    def __init__(self, block: object, value: Any) -> None:
        super().__init__()
        self.block, self.value = block, value


@attrs.define(eq=False)
class Scope:
    """Variables, local functions and blocks, and the scope around them."""

    variables: dict[str, Any] = attrs.field(factory=dict)
    parent: Scope | None = None
    functions: dict[str, Function] = attrs.field(factory=dict)
    blocks: dict[str, object] = attrs.field(factory=dict)

    def outwards(self) -> Iterator[Scope]:
        """Yield this scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def holder(self, name: str) -> Scope | None:
        """Return the innermost scope that has a variable, or None."""
        return next((each for each in self.outwards() if name in each.variables), None)

    def inner(self, variables: Mapping[str, Any] | None = None) -> Scope:
        """Return a new scope in this one."""
        return Scope(dict(variables or {}), self)


def in_block(name: str, scope: Scope, run: Callable[[Scope], Any]) -> Any:
    """Run something in a scope with a block, and return its value or the one it was left with."""
    inner, block = scope.inner(), object()
    inner.blocks[name] = block
    try:
        return run(inner)
    except BlockExit as end:
        if end.block is not block:
            raise
        return end.value


def text_of(value: Any, most: int = 60) -> str:
    """Return a value as text for a message."""
    if value is None or value is True:
        return "nil" if value is None else "t"
    if most < 4:
        return "…"
    if isinstance(value, list):
        text = f"({' '.join(text_of(each, most // 2) for each in value[:4])}"
        text += " ...)" if len(value) > 4 else ")"
    elif isinstance(value, tuple) and len(value) == 2:
        text = f"({text_of(value[0], most // 2)} . {text_of(value[1], most // 2)})"
    elif isinstance(value, (FunctionType, BuiltinFunctionType, MethodType, partial)):
        text = "a function"
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = str(value.dtype).rpartition(".")[2]
        text = f"a {dtype} tensor of shape {tuple(value.shape)}"
    elif isinstance(value, (int, float, Fraction)):
        text = literal_text(value)
    else:
        text = str(value) if isinstance(value, Symbol) else repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"

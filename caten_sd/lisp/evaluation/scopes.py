"""Scopes: variables, local functions and blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from caten_sd.lisp.functions.lisp_values import Function


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
    captured: bool = False  # by a function, which sees no variable that is bound after it is made

    def outwards(self) -> Iterator[Scope]:
        """Yield this scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def holder(self, name: str) -> Scope | None:
        """Return the innermost scope that has a variable, or None."""
        return next((each for each in self.outwards() if name in each.variables), None)

    def capture(self) -> Scope:
        """Return this scope for a function that is made in it."""
        for each in self.outwards():
            if each.captured:
                break
            each.captured = True
        return self

    def then(self, name: str, value: Any) -> Scope:
        """Return a scope in which one more variable is bound: this one, if no function has it."""
        if self.captured:
            return self.inner({name: value})
        self.variables[name] = value
        return self

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

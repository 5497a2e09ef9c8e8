"""Nodes of a sequence that are functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from caten_sd.nn.module import Module
from caten_sd.objects.call import call


@attrs.define
class FunctionNode(Module):
    """What ``asnode`` makes: a function, and what it takes after the input."""

    function: Callable[..., Any]
    rest_args: list[Any]


@call.register(FunctionNode)
def call_function(model: FunctionNode, x: Any) -> Any:
    """Call the function with the input and what follows it."""
    return model.function(x, *model.rest_args)


def asnode(function: Any, *rest: Any) -> FunctionNode:
    """Return a node that calls a function."""
    return FunctionNode(function, list(rest))

"""Reductions: an axis stays with size 1, and with ``:keepdims`` the result is repeated along it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from caten_sd.lisp.operators.operand import as_axes, as_axis, as_integer, as_operand
from caten_sd.lisp.operators.operator import Operator

Reduce = Callable[[Tensor, list[int]], Tensor]


def reduction(reduce: Reduce) -> Callable[..., Tensor]:
    """Return a function that reduces all axes, or those that are asked for."""

    def reduced(x: Any, *, axis: Any = True, keepdims: Any = None) -> Tensor:
        operand = as_operand(x)
        axes = as_axes(operand, axis)
        # Of no axis torch reduces all, and Caten none; a tensor without axes has none to name.
        result = reduce(operand, axes) if axes else operand
        return result.expand(operand.shape) if keepdims is not None else result

    return reduced


def variance(x: Any, *, axis: Any = -1, keepdims: Any = None, correction: Any = 1) -> Tensor:
    """Return the mean square of the distances from the mean, of n - correction numbers."""
    operand = as_operand(x)
    axes = as_axes(operand, axis)
    squares = (operand - operand.mean(axes, keepdim=True)).square().sum(axes, keepdim=True)
    number = operand.numel() // max(squares.numel(), 1)
    result = squares / max(0, number - as_integer(correction, "a correction"))
    return result.expand(operand.shape) if keepdims is not None else result


def deviation(x: Any, **options: Any) -> Tensor:
    """Return the square root of the variance."""
    return variance(x, **options).sqrt()


def index_of_largest(x: Any, *, axis: Any = -1, keepdims: Any = None) -> Tensor:
    """Return the index of the largest element along an axis."""
    operand = as_operand(x)
    result = operand.argmax(as_axis(operand, axis), keepdim=True)
    return result.expand(operand.shape) if keepdims is not None else result


def index_of_least(x: Any, **options: Any) -> Tensor:
    """Return the index of the least element along an axis."""
    return index_of_largest(-as_operand(x), **options)


def upper_triangle(x: Any, *, diagonal: Any = 0) -> Tensor:
    """Set what is under a diagonal to 0."""
    return as_operand(x).triu(as_integer(diagonal, "a diagonal"))


def lower_triangle(x: Any, *, diagonal: Any = 0) -> Tensor:
    """Set what is over a diagonal to 0."""
    return as_operand(x).tril(as_integer(diagonal, "a diagonal"))


def product(a: Any, b: Any) -> Tensor:
    """Multiply matrices, the last two axes of both."""
    return torch.matmul(as_operand(a), as_operand(b))


AXES = "x &key axis keepdims"
OPERATORS = (
    Operator("!SUM", reduction(lambda x, axes: x.sum(axes, keepdim=True)), AXES),
    Operator("!MEAN", reduction(lambda x, axes: x.mean(axes, keepdim=True)), AXES),
    Operator("!MAX", reduction(lambda x, axes: x.amax(axes, keepdim=True)), AXES),
    Operator("!MIN", reduction(lambda x, axes: x.amin(axes, keepdim=True)), AXES),
    Operator("!VARIANCE", variance, "x &key axis keepdims correction"),
    Operator("!STD", deviation, "x &key axis keepdims correction"),
    Operator("!ARGMAX", index_of_largest, AXES),
    Operator("!ARGMIN", index_of_least, AXES),
    Operator("!MATMUL", product, "a b"),
    Operator("!TRIU", upper_triangle, "x &key diagonal"),
    Operator("!TRIL", lower_triangle, "x &key diagonal"),
)

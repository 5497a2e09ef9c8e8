"""Functions that ask about a tensor."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from caten_sd.lisp.operators.operand import as_axes, as_axis, as_operand, dtype_name
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.syntax.datum import KEYWORD, Symbol


def shape(x: Any) -> list[int] | None:
    """Return the sizes of the axes as a list of Lisp, in which none are nil."""
    return list(as_operand(x).shape) or None


def number_of_axes(x: Any) -> int:
    """Return how many axes there are."""
    return as_operand(x).ndim


def dtype_of(x: Any) -> Symbol:
    """Return the keyword that names the dtype."""
    return dtype_name(as_operand(x))


def order(x: Any) -> Symbol:
    """Return ``:row``, the order of elements in memory that torch has."""
    as_operand(x)
    return Symbol("ROW", "row", KEYWORD)


def is_tensor(x: Any) -> bool | None:
    """Return t for a tensor, and nil for anything else."""
    return isinstance(x, Tensor) or None


def normalized_axes(x: Any, axes: Any) -> list[int]:
    """Count axes from the first one."""
    return as_axes(as_operand(x), axes)


def normalized(x: Any, axis: Any) -> int:
    """Count an axis of a tensor from the first one."""
    return as_axis(as_operand(x), axis)


OPERATORS = (
    Operator("SHAPE", shape, "x"),
    Operator("TENSOR-SHAPE", shape, "x"),
    Operator("NDIM", number_of_axes, "x"),
    Operator("DTYPE-OF", dtype_of, "x"),
    Operator("TENSOR-DTYPE", dtype_of, "x"),
    Operator("ORDER", order, "x"),
    Operator("TENSOR-P", is_tensor, "x"),
    Operator("NORMALIZE-AXIS", normalized, "x axis"),
    Operator("NORMALIZE-AXES", normalized_axes, "x axes"),
)

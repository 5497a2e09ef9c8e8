"""Operators that make tensors: of one value, of indices, of random numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.operand import (
    as_axis,
    as_dtype,
    as_integer,
    as_operand,
    as_shape,
)
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.syntax.datum import Symbol


def full(shape: Any, value: Any, *, dtype: Any = None, order: Any = None) -> Tensor:
    """Make a tensor of one value."""
    return torch.empty(as_shape([shape]), dtype=_float(dtype)).fill_(as_operand(value))


def indices(like: Any) -> Tensor:
    """Number the elements of a tensor, or of a new one of a shape, row by row from 0."""
    if isinstance(like, Tensor):
        return torch.arange(like.numel(), dtype=like.dtype, device=like.device).reshape(like.shape)
    shape = as_shape([like])
    return torch.arange(torch.Size(shape).numel(), dtype=_float(None)).reshape(shape)


def indices_along(x: Any, rank: Any, *, dtype: Any = None) -> Tensor:
    """Give each element of a tensor its index along one axis."""
    operand = as_operand(x)
    axis = as_axis(operand, rank)
    along = torch.arange(operand.shape[axis], dtype=_float(dtype), device=operand.device)
    shape = [1] * operand.ndim
    shape[axis] = -1
    return along.reshape(shape).expand(operand.shape)


def strides(order: Any, shape: Any) -> list[int]:
    """Return how far elements lie from the next one along each axis."""
    if not isinstance(order, Symbol) or order.name not in ("ROW", "COLUMN"):
        raise ModelError(f"{order} is not an order; write :row or :column")
    sizes = as_shape([shape])
    if order.name == "COLUMN":
        return [torch.Size(sizes[:axis]).numel() for axis in range(len(sizes))]
    return [torch.Size(sizes[axis + 1 :]).numel() for axis in range(len(sizes))]


def normalized_axis(ndim: Any, axis: Any) -> int:
    """Count an axis from the first one."""
    number = as_integer(axis, "an axis")
    return number + as_integer(ndim, "a number of axes") if number < 0 else number


def uniform(
    shape: Any, *, low: Any = 0.0, high: Any = 1.0, dtype: Any = None, order: Any = None
) -> Tensor:
    """Draw numbers from low to high, evenly."""
    least, most = as_operand(low), as_operand(high)
    return (torch.rand(as_shape([shape])) * (most - least) + least).to(_float(dtype))


def normal(
    shape: Any, *, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None, order: Any = None
) -> Tensor:
    """Draw numbers around a mean."""
    drawn = torch.randn(as_shape([shape])) * as_operand(std) + as_operand(mean)
    return drawn.to(_float(dtype))


def integers(
    shape: Any, *, low: Any = 0, high: Any = 1, dtype: Any = None, order: Any = None
) -> Tensor:
    """Draw integers of at least low and less than high."""
    least, most = as_integer(low, "an integer"), as_integer(high, "an integer")
    drawn = torch.randint(least, most, as_shape([shape]))
    return drawn if dtype is None else drawn.to(as_dtype(dtype))


def _float(dtype: Any) -> torch.dtype:
    return torch.float32 if dtype is None else as_dtype(dtype)


MADE = "shape &key dtype order"
OPERATORS = (
    Operator("!FULL", full, "shape value &key dtype order"),
    Operator("!INDEX-COMPONENTS", indices, "tensor-or-shape"),
    Operator("!GID", indices_along, "x rank &key dtype"),
    Operator("!STRIDE", strides, "order shape"),
    Operator("!NORMALIZE-AXIS", normalized_axis, "ndim axis"),
    Operator("!RAND", uniform, MADE),
    Operator("!UNIFORM", uniform, "shape &key low high dtype order"),
    Operator("!RANDN", normal, MADE),
    Operator("!NORMAL", normal, "shape &key mean std dtype order"),
    Operator("!RANDINT", integers, "shape &key low high dtype order"),
)

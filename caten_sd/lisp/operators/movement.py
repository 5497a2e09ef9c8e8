"""Operators that move elements: other shapes, other orders of axes, pieces and joins."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.operand import as_axis, as_integer, as_items, as_operand, as_shape
from caten_sd.lisp.operators.operator import Operator
from caten_sd.nn.padding import pad, pad_2d


def reshape(x: Any, *shape: Any) -> Tensor:
    """Give x another shape, written as a list or one by one."""
    return as_operand(x).reshape(as_shape(shape))


def permute(x: Any, *order: Any) -> Tensor:
    """Put the axes in another order, written as a list or one by one."""
    operand = as_operand(x)
    axes = order[0] if len(order) == 1 and isinstance(order[0], (list, tuple)) else order
    return operand.permute([as_axis(operand, axis) for axis in axes])


def transpose(x: Any, first: Any = 1, second: Any = 0) -> Tensor:
    """Exchange two axes."""
    operand = as_operand(x)
    return operand.transpose(as_axis(operand, first), as_axis(operand, second))


def transpose_last(x: Any) -> Tensor:
    """Exchange the last two axes."""
    return transpose(x, -1, -2)


def expand(x: Any, *shape: Any) -> Tensor:
    """Repeat axes of size 1 without a copy; new axes may precede those of x."""
    return as_operand(x).expand(as_shape(shape))


def repeat(x: Any, *times: Any) -> Tensor:
    """Repeat x along each axis."""
    return as_operand(x).repeat(as_shape(times))


def uprank(x: Any, number: Any) -> Tensor:
    """Put axes of size 1 before those of x."""
    operand = as_operand(x)
    return operand.reshape((1,) * as_integer(number, "a number of axes") + operand.shape)


def flatten(x: Any, *, axis: Any = 1) -> Tensor:
    """Join the axes before one, and this and those after it."""
    operand = as_operand(x)
    place = as_axis(operand, axis)
    return operand.reshape(operand.shape[:place].numel(), operand.shape[place:].numel())


def split(x: Any, sizes: Any, *, dim: Any = 0) -> tuple[Tensor, ...]:
    """Cut into pieces of one size, the last of which may be smaller, or of several sizes."""
    operand = as_operand(x)
    axis = as_axis(operand, dim)
    if isinstance(sizes, (list, tuple)):
        return torch.split(operand, as_shape(sizes), axis)
    return torch.split(operand, as_shape([sizes])[0], axis)


def chunk(x: Any, chunks: Any, *, dim: Any = 0) -> tuple[Tensor, ...]:
    """Cut into a number of pieces, the last of which may be smaller."""
    operand = as_operand(x)
    number = as_shape([chunks])[0]
    axis = as_axis(operand, dim)
    return torch.split(operand, -(-operand.shape[axis] // number), axis)


def concatenate(dim: Any, *tensors: Any) -> Tensor:
    """Join tensors along an axis."""
    operands = [as_operand(each) for each in tensors]
    if not operands:
        raise ModelError("!concatenate joins at least one tensor; pass it after the axis")
    return torch.cat(operands, as_axis(operands[0], dim))


def contiguous(x: Any, *, force: Any = None) -> Tensor:
    """Return x with its elements in a row in memory, as a copy where that is asked for."""
    return as_operand(x).clone() if force is not None else as_operand(x).contiguous()


def copy(x: Any) -> Tensor:
    """Return a copy."""
    return as_operand(x).clone()


def padding(x: Any, pairs: Any, *, value: Any = 0.0) -> Tensor:
    """Pad each axis by a pair, or not at all where t is written."""
    sizes = [
        each if each is True else _sizes(each) for each in as_items(pairs, "a list of paddings")
    ]
    return pad(as_operand(x), sizes, value=float(value))


def padding_2d(x: Any, sizes: Any, *, value: Any = 0.0) -> Tensor:
    """Pad the last two axes by four sizes."""
    return pad_2d(as_operand(x), _sizes(sizes), value=float(value))


def _sizes(pair: Any) -> list[int]:
    return [as_integer(size, "a size of a padding") for size in as_items(pair, "a list of sizes")]


OPERATORS = (
    Operator("!RESHAPE", reshape, "x &rest shape"),
    Operator("!PERMUTE", permute, "x &rest order"),
    Operator("!TRANSPOSE", transpose, "x &optional dim0 dim1"),
    Operator("!T", transpose_last, "x"),
    Operator("!EXPAND", expand, "x &rest shape"),
    Operator("!REPEAT", repeat, "x &rest repeats"),
    Operator("!UPRANK", uprank, "x n"),
    Operator("!FLATTEN", flatten, "x &key axis"),
    Operator("!SPLIT", split, "x sizes &key dim"),
    Operator("!CHUNK", chunk, "x chunks &key dim"),
    Operator("!CONCATENATE", concatenate, "dim &rest tensors"),
    Operator("!CONTIGUOUS", contiguous, "x &key force"),
    Operator("!COPY", copy, "x"),
    Operator("!PADDING", padding, "x padding &key value"),
    Operator("!PADDING2D", padding_2d, "x padding &key value"),
)

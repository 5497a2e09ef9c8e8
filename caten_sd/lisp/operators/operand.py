"""What operators take: tensors or numbers, sizes, axes, names of dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import text_of
from caten_sd.lisp.syntax.datum import KEYWORD, Symbol

DTYPES = {
    "FLOAT64": torch.float64,
    "FLOAT32": torch.float32,
    "FLOAT16": torch.float16,
    "BFLOAT16": torch.bfloat16,
    "INT64": torch.int64,
    "INT32": torch.int32,
    "INT16": torch.int16,
    "INT8": torch.int8,
    "UINT64": torch.uint64,
    "UINT32": torch.uint32,
    "UINT16": torch.uint16,
    "UINT8": torch.uint8,
    "BOOL": torch.bool,
}


def as_operand(value: Any) -> Tensor:
    """Return a tensor, or a number as a tensor without axes; ModelError for anything else.

    A number stays in the computer's memory, where it can be read without waiting for a device; it
    can take part in operations on any other.

    >>> as_operand(Fraction(1, 2))
    tensor(0.5000)
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise ModelError(f"{text_of(value)} is not a tensor or a number; pass one")
    return torch.as_tensor(value if isinstance(value, int) else float(value), device="cpu")


def as_integer(value: Any, what: str) -> int:
    """Return an integer, or the one in a tensor of one element; ModelError if it is not one.

    >>> as_integer(torch.tensor(3), "a size")
    3
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError(f"{text_of(value)} is not {what}; pass an integer")
    return value


def as_shape(sizes: Iterable[Any]) -> list[int]:
    """Return sizes, given one by one or as lists; ModelError unless each is at least 1.

    >>> as_shape([2, [3, torch.tensor(4)]])
    [2, 3, 4]
    """
    shape = [as_integer(size, "a size") for size in _flat(sizes)]
    for size in shape:
        if size < 1:
            raise ModelError(f"{size} is not a size of an axis; sizes are at least 1")
    return shape


def as_items(value: Any, what: str) -> Sequence[Any]:
    """Return the items of a list; ModelError if it is not one."""
    if isinstance(value, (list, tuple)):
        return value
    raise ModelError(f"{text_of(value)} is not {what}; pass a list")


def as_axis(x: Tensor, axis: Any) -> int:
    """Return an axis of x, counted from the first one; ModelError if x does not have it.

    >>> as_axis(torch.ones(2, 3), -1)
    1
    """
    number = as_integer(axis, "an axis")
    if not x.ndim:
        raise ModelError("a tensor without axes has no axis to name; give it one by !reshape")
    if not -x.ndim <= number < x.ndim:
        raise ModelError(
            f"a tensor of shape {tuple(x.shape)} does not have the axis {number}; its axes are "
            f"{-x.ndim} to {x.ndim - 1}"
        )
    return number % x.ndim


def as_axes(x: Tensor, axes: Any) -> list[int]:
    """Return axes of x, given as one, as a list, or as t for all of them."""
    if axes is True:
        return list(range(x.ndim))
    return [as_axis(x, axis) for axis in _flat([axes])]


def as_dtype(name: Any) -> torch.dtype:
    """Return the dtype that a keyword names.

    >>> as_dtype(Symbol("FLOAT32", "float32", KEYWORD))
    torch.float32
    """
    if isinstance(name, torch.dtype):
        return name
    if not isinstance(name, Symbol) or name.name not in DTYPES:
        known = ", ".join(f":{each.lower()}" for each in DTYPES)
        raise ModelError(f"{text_of(name)} is not a dtype; the dtypes are {known}")
    return DTYPES[name.name]


def dtype_name(x: Tensor) -> Symbol:
    """Return the keyword that names the dtype of x.

    >>> str(dtype_name(torch.ones(1)))
    ':float32'
    """
    for name, dtype in DTYPES.items():
        if dtype == x.dtype:
            return Symbol(name, name.lower(), KEYWORD)
    raise ModelError(f"Caten has no dtype {x.dtype}; cast the tensor")


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        elif value is not None:  # nil is the empty list
            yield value

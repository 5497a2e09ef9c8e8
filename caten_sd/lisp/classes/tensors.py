"""Functions that make the tensors of slots: a Parameter where ``:requires-grad`` is t."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import Function, text_of
from caten_sd.lisp.functions.lists import keys_of
from caten_sd.lisp.operators.operand import as_dtype, as_operand, as_shape

MOST_ELEMENTS = 2**36  # of one tensor; more is an error in the file, not a model

_OPTIONS = ("DTYPE", "ORDER", "ID", "REQUIRES-GRAD")


def _shape(value: Any) -> list[int]:
    """Return the shape that a list of sizes is; nil is that of a single element."""
    if value is not None and not isinstance(value, list):
        raise ModelError(f"{text_of(value)} is not a shape; pass a list of sizes, as '(3 4)")
    shape = as_shape(value or [])
    if math.prod(shape) > MOST_ELEMENTS:
        raise ModelError(
            f"a tensor of shape {text_of(value)} has more than {MOST_ELEMENTS:,} elements; correct "
            f"its sizes"
        )
    return shape


def _made(tensor: Tensor, options: Mapping[str, Any], default: torch.dtype) -> Tensor:
    dtype = options.get("DTYPE")
    made = tensor.to(default if dtype is None else as_dtype(dtype))
    if options.get("REQUIRES-GRAD") is None:
        return made
    return torch.nn.Parameter(made, requires_grad=made.is_floating_point())


def _number(value: Any) -> float:
    return float(as_operand(value))


def _maker(fill: Callable[..., Tensor], *own: str) -> Function:
    """Return a function of a shape and options, of which some are the fill's own."""

    def make(shape: Any, *options: Any) -> Tensor:
        given = keys_of(options, *_OPTIONS, *own)
        numbers = {name.lower(): _number(given[name]) for name in own if name in given}
        return _made(fill(_shape(shape), **numbers), given, torch.float32)

    return make


def _uniform(shape: list[int], low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.empty(shape).uniform_(low, high)


def _normal(shape: list[int], mean: float = 0.0, std: float = 1.0) -> Tensor:
    return torch.empty(shape).normal_(mean, std)


def _xavier(shape: list[int]) -> Tensor:
    if len(shape) < 2:
        raise ModelError(f"xavier-uniform makes no tensor of shape {shape}; pass two sizes or more")
    return torch.nn.init.xavier_uniform_(torch.empty(shape))


def linspace(shape: Any, slope: Any, start: Any, *options: Any) -> Tensor:
    """Return a tensor whose element number i, row by row from 0, is slope * i + start."""
    given = keys_of(options, *_OPTIONS, "OUT")
    sizes = _shape(shape)
    numbers = torch.arange(math.prod(sizes), dtype=torch.float32).reshape(sizes)
    return _made(numbers * _number(slope) + _number(start), given, torch.float32)


def make_tensor(shape: Any, *options: Any) -> Tensor:
    """Return a tensor of one value, by default zero."""
    given = keys_of(options, *_OPTIONS, "INITIAL-ELEMENT", "FROM")
    if given.get("FROM") is not None:
        raise ModelError("make-tensor :from takes a buffer of Caten; use another maker")
    value = given.get("INITIAL-ELEMENT")
    filled = torch.full(_shape(shape), 0.0 if value is None else _number(value))
    return _made(filled, given, torch.float32)


def _constant(default: torch.dtype) -> Function:
    def make(value: Any, *options: Any) -> Tensor:
        given = keys_of(options, *_OPTIONS)
        return _made(as_operand(value), given, default)

    return make


def _unwritable(value: float) -> Function:
    """Return the function that gives a number for which Lisp has no text."""

    def give(*options: Any) -> float:
        keys_of(options, "DTYPE")
        return value

    return give


FUNCTIONS: Mapping[str, Function] = {
    "RAND": _maker(_uniform),
    "RANDN": _maker(_normal),
    "UNIFORM": _maker(_uniform, "LOW", "HIGH"),
    "NORMAL": _maker(_normal, "MEAN", "STD"),
    "XAVIER-UNIFORM": _maker(_xavier),
    "LINSPACE": linspace,
    "AX+B": linspace,
    "MAKE-TENSOR": make_tensor,
    "FCONST": _constant(torch.float32),
    "ICONST": _constant(torch.int64),
    "UCONST": _constant(torch.uint64),
    "-INF": _unwritable(-math.inf),
    "INF": _unwritable(math.inf),
    "NAN": _unwritable(math.nan),
}

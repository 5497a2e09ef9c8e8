"""Operators that take elements one by one: arithmetic, comparisons, logic."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from caten_sd.errors import ModelError
from caten_sd.lisp.operators.operand import as_dtype, as_operand
from caten_sd.lisp.operators.operator import Operator

Function = Callable[..., Tensor]

ONE: dict[str, Function] = {
    "!NEG": torch.neg,
    "!RECIP": torch.reciprocal,
    "!RSQRT": torch.rsqrt,
    "!ABS": torch.abs,
    "!SQUARE": torch.square,
    "!SQRT": torch.sqrt,
    "!EXP": torch.exp,
    "!EXP2": torch.exp2,
    "!LOG": torch.log,
    "!LOG2": torch.log2,
    "!SIN": torch.sin,
    "!COS": torch.cos,
    "!TAN": torch.tan,
    "!SINH": torch.sinh,
    "!COSH": torch.cosh,
    "!TANH": torch.tanh,
    "!ERF": torch.erf,
    "!SIGNUM": torch.sign,
    "!FLOOR": torch.floor,
    "!CEILING": torch.ceil,
    "!TRUNCATE": torch.trunc,
}
TWO: dict[str, Function] = {
    "!ADD": torch.add,
    "!SUB": torch.sub,
    "!MUL": torch.mul,
    "!DIV": torch.div,
    "!MOD": torch.fmod,
    "!GCD": torch.gcd,
    "!LCM": torch.lcm,
    "!MAXIMUM": torch.maximum,
    "!MINIMUM": torch.minimum,
    "!EQ": torch.eq,
    "!NEQ": torch.ne,
    "!<": torch.lt,
    "!<=": torch.le,
    "!>": torch.gt,
    "!>=": torch.ge,
    "!AND": torch.bitwise_and,
    "!OR": torch.bitwise_or,
    "!XOR": torch.bitwise_xor,
}
# Caten folds these over their arguments from the left, and so gives a single one back unchanged.
MANY: dict[str, Function] = {
    "!+": torch.add,
    "!-": torch.sub,
    "!*": torch.mul,
    "!/": torch.div,
}


def on_elements(function: Function) -> Function:
    """Return a function that takes numbers where the given one takes tensors alone."""

    def applied(*operands: Any) -> Tensor:
        return function(*map(as_operand, operands))

    return applied


def folded(function: Function) -> Function:
    """Return a function of any number of operands, of which it takes two at a time."""
    apply = on_elements(function)

    def applied(first: Any, *others: Any) -> Tensor:
        return functools.reduce(apply, others, as_operand(first))

    return applied


def integer_division(a: Any, b: Any) -> Tensor:
    """Divide integers and drop the remainder, as C does."""
    above, below = as_operand(a), as_operand(b)
    if above.is_floating_point() or below.is_floating_point():
        raise ModelError("!idiv takes integers; use !div, or cast both to :int64")
    return torch.div(above, below, rounding_mode="trunc")


def power(base: Any, exponent: Any) -> Tensor:
    """Raise to a power, which torch does in another way for a number than for a tensor."""
    plain = isinstance(exponent, (int, float)) and not isinstance(exponent, bool)
    return torch.pow(as_operand(base), exponent if plain else as_operand(exponent))


def clip(x: Any, low: Any, high: Any) -> Tensor:
    """Limit elements to an interval, whose ends may be tensors."""
    return torch.minimum(torch.maximum(as_operand(x), as_operand(low)), as_operand(high))


def choose(condition: Any, x: Any, y: Any) -> Tensor:
    """Take elements of x where the condition holds, and of y elsewhere."""
    return torch.where(as_operand(condition) != 0, as_operand(x), as_operand(y))


def cast(x: Any, dtype: Any) -> Tensor:
    """Convert to the dtype that a keyword names."""
    return as_operand(x).to(as_dtype(dtype))


def constant(x: Any, value: Any) -> Tensor:
    """Make a number of the dtype of x."""
    return as_operand(value).to(as_operand(x).dtype)


def same(x: Any) -> Tensor:
    """Return the operand."""
    return as_operand(x)


OPERATORS = (
    *(Operator(name, on_elements(function), "x") for name, function in ONE.items()),
    *(Operator(name, on_elements(function), "a b") for name, function in TWO.items()),
    *(Operator(name, folded(function), "a &rest others") for name, function in MANY.items()),
    Operator("!EXPT", power, "base exponent"),
    Operator("!IDIV", integer_division, "a b"),
    Operator("!CLIP", clip, "x min max"),
    Operator("!WHERE", choose, "condition x y"),
    Operator("!CAST", cast, "x dtype"),
    Operator("!CONST", constant, "x value"),
    Operator("!IDENTITY", same, "x"),
)

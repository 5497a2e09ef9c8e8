"""The functions of Caten's nn: activations, pools, norms and losses that own no weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from caten_sd import nn
from caten_sd.errors import ModelError
from caten_sd.lisp.functions.lisp_values import first_value
from caten_sd.lisp.operators.operand import as_integer, as_operand, as_shape
from caten_sd.lisp.operators.operator import Operator
from caten_sd.lisp.syntax.datum import Symbol

# The parameters of each, after x, are the arguments of the class.
ACTIVATIONS: dict[str, tuple[Callable[..., nn.Module], str]] = {
    "!RELU": (nn.ReLU, ""),
    "!LEAKY-RELU": (nn.LeakyReLU, " &key neg-slope"),
    "!RELU6": (nn.ReLU6, ""),
    "!ELU": (nn.ELU, " &key alpha"),
    "!CELU": (nn.CELU, " &key alpha"),
    "!SELU": (nn.SELU, ""),
    "!SOFTPLUS": (nn.Softplus, " &key beta"),
    "!SOFTSHRINK": (nn.SoftShrink, " &key lmd"),
    "!SIGMOID": (nn.Sigmoid, ""),
    "!HARD-SIGMOID": (nn.HardSigmoid, " &key alpha beta"),
    "!LOGSIGMOID": (nn.LogSigmoid, ""),
    "!HARDTANH": (nn.HardTanh, " &key min_val max_val"),
    "!SOFTSIGN": (nn.Softsign, ""),
    "!GELU": (nn.GELU, " &key approx"),
    "!SILU": (nn.SiLU, ""),
    "!MISH": (nn.Mish, ""),
    "!HARDSWISH": (nn.HardSwish, ""),
    "!SOFTMAX": (nn.Softmax, " &key axis"),
    "!LOG-SOFTMAX": (nn.LogSoftmax, " &key axis"),
    "!SOFTMIN": (nn.Softmin, ""),
    "!ROPE": (nn.RoPE, " dim &key base"),
}
POOLS: dict[str, Callable[..., nn.Module]] = {"!MAXPOOL": nn.MaxPool, "!AVGPOOL": nn.AvgPool}


def activation(model: Callable[..., nn.Module]) -> Callable[..., Tensor]:
    """Return the function that a class of models without state computes."""

    def applied(x: Any, *arguments: Any, **options: Any) -> Tensor:
        plain = {name: _plain(value) for name, value in options.items()}
        result: Tensor = model(*arguments, **plain)(as_operand(x))
        return result

    return applied


def pool(model: Callable[..., nn.Module]) -> Callable[..., Tensor]:
    """Return the function that a class of pools computes, by default over squares of 2."""

    def pooled(x: Any, *, kernel_size: Any = (2, 2), **options: Any) -> Tensor:
        given = {name: _rounding(each) for name, each in options.items() if each is not None}
        result: Tensor = model(kernel_size, **given)(as_operand(x))
        return result

    return pooled


def layer_norm(
    x: Any, normalized_shape: Any, *, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Normalize the last axis, whatever axes the shape names; scale and shift."""
    model = nn.LayerNorm(
        as_shape([normalized_shape]), eps=eps, affine=False, bias=False, last_axis_only=True
    )
    result: Tensor = model(as_operand(x))
    scaled = result * weight if isinstance(weight, Tensor) else result
    return scaled + bias if isinstance(bias, Tensor) else scaled


def rms_norm(x: Any, normalized_shape: Any, *, weight: Any = None, eps: float = 1e-5) -> Tensor:
    """Divide the last axis by its root mean square, whatever axes the shape names; scale."""
    model = nn.RMSNorm(as_shape([normalized_shape]), eps=eps, weight=False, last_axis_only=True)
    result: Tensor = model(as_operand(x))
    return result * weight if isinstance(weight, Tensor) else result


def unfold(x: Any, kernel_size: Any, *, dilation: Any = 1, stride: Any = 1) -> Tensor:
    """Return the windows of the last axes: (..., *windows, *kernel)."""
    steps = (_window(stride), _window(dilation))
    return nn.unfold(as_operand(x), as_shape([kernel_size]), stride=steps[0], dilation=steps[1])


def batch_norm(*arguments: Any) -> Tensor:
    """Refuse, since what Caten computes is not known."""
    raise ModelError("!batch-norm differs from every known definition; write it with !mean")


def mean_square(a: Any, b: Any, *, reduction: Any = None) -> Tensor:
    """Return the mean or the sum of the squared differences."""
    return _reduced((as_operand(a) - as_operand(b)).square(), reduction)


def mean_distance(a: Any, b: Any, *, reduction: Any = None) -> Tensor:
    """Return the mean or the sum of the absolute differences."""
    return _reduced((as_operand(a) - as_operand(b)).abs(), reduction)


def cross_entropy(x: Any, labels: Any, *, reduction: Any = None, delta: float = 1e-5) -> Tensor:
    """Return the mean or the sum of ``-labels * log(x + delta)``; x has probabilities."""
    return _reduced(-as_operand(labels) * torch.log(as_operand(x) + delta), reduction)


def _reduced(losses: Tensor, reduction: Any) -> Tensor:
    name = "MEAN" if reduction is None else getattr(reduction, "name", "")
    if name not in ("MEAN", "SUM"):
        raise ModelError(f"{reduction} is not a reduction of a loss; write :mean or :sum")
    axes = list(range(losses.ndim))
    return losses.mean(axes, keepdim=True) if name == "MEAN" else losses.sum(axes, keepdim=True)


def _window(sizes: Any) -> int | list[int]:
    what = "a size of a window"
    if isinstance(sizes, (list, tuple)):
        return [as_integer(each, what) for each in sizes]
    return as_integer(sizes, what)


def _rounding(value: Any) -> Any:
    """Return a function of Lisp as one of Python: the first of its values."""
    return (lambda number: first_value(value(number))) if callable(value) else value


def _plain(value: Any) -> Any:
    return value.name.lower() if isinstance(value, Symbol) else value


LOSS = "a b &key reduction"
OPERATORS = (
    *(
        Operator(name, activation(model), f"x{parameters}")
        for name, (model, parameters) in ACTIVATIONS.items()
    ),
    *(
        Operator(name, pool(model), "x &key kernel-size stride dilation padding ceiling")
        for name, model in POOLS.items()
    ),
    Operator("!LAYER-NORM", layer_norm, "x normalized-shape &key weight bias eps"),
    Operator("!RMS-NORM", rms_norm, "x normalized-shape &key weight eps"),
    Operator("!BATCH-NORM", batch_norm, "x &rest others"),
    Operator("!UNFOLD", unfold, "x kernel-size &key dilation stride"),
    Operator("!MSE", mean_square, LOSS),
    Operator("!L1NORM", mean_distance, LOSS),
    Operator("!CROSS-ENTROPY", cross_entropy, "x labels &key reduction delta"),
)

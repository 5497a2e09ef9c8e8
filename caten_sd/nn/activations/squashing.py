"""Squashing functions: they bound every number, on one side at least."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from caten_sd.nn.module import Module
from caten_sd.objects.call import call


@attrs.define
class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> import torch
    >>> Sigmoid()(torch.tensor(0.0))
    tensor(0.5000)
    """


@attrs.define
class HardSigmoid(Module):
    """min(max(alpha * x + beta, 0), 1); its defaults are Caten's and ONNX's, not torch's.

    >>> import torch
    >>> HardSigmoid()(torch.tensor([-3.0, 0.0, 3.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    alpha: float = 0.2
    beta: float = 0.5


@attrs.define
class LogSigmoid(Module):
    """Logarithm of the sigmoid.

    >>> import torch
    >>> LogSigmoid()(torch.tensor(0.0))
    tensor(-0.6931)
    """


@attrs.define
class Tanh(Module):
    """Hyperbolic tangent.

    >>> import torch
    >>> Tanh()(torch.tensor(1.0))
    tensor(0.7616)
    """


@attrs.define
class HardTanh(Module):
    """min(max(x, min_val), max_val).

    >>> import torch
    >>> HardTanh()(torch.tensor([-3.0, 0.5, 3.0])).tolist()
    [-1.0, 0.5, 1.0]
    """

    min_val: float = -1.0
    max_val: float = 1.0


@attrs.define
class Softsign(Module):
    """x / (1 + abs(x)).

    >>> import torch
    >>> Softsign()(torch.tensor([-3.0, 1.0])).tolist()
    [-0.75, 0.5]
    """


@call.register(Sigmoid)
def sigmoid(model: Sigmoid, x: Tensor) -> Tensor:
    """Map (...) to (0, 1)."""
    return torch.sigmoid(x)


@call.register(HardSigmoid)
def hard_sigmoid(model: HardSigmoid, x: Tensor) -> Tensor:
    """Map (...) to [0, 1] by straight lines."""
    return torch.clamp(model.alpha * x + model.beta, 0, 1)


@call.register(LogSigmoid)
def log_sigmoid(model: LogSigmoid, x: Tensor) -> Tensor:
    """Map (...) to negative numbers."""
    return functional.logsigmoid(x)


@call.register(Tanh)
def tanh(model: Tanh, x: Tensor) -> Tensor:
    """Map (...) to (-1, 1)."""
    return torch.tanh(x)


@call.register(HardTanh)
def hard_tanh(model: HardTanh, x: Tensor) -> Tensor:
    """Limit the elements of (...) to ``min_val`` and ``max_val``."""
    return functional.hardtanh(x, model.min_val, model.max_val)


@call.register(Softsign)
def softsign(model: Softsign, x: Tensor) -> Tensor:
    """Map (...) to (-1, 1)."""
    return functional.softsign(x)

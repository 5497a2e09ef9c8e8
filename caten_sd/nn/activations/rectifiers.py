"""Rectifiers: functions that leave large positive numbers as they are, or nearly so."""

from __future__ import annotations

import attrs
from torch import Tensor
from torch.nn import functional

from caten_sd.nn.module import Module
from caten_sd.objects.call import call


@attrs.define
class ReLU(Module):
    """max(x, 0).

    >>> import torch
    >>> ReLU()(torch.tensor([-2.0, 3.0])).tolist()
    [0.0, 3.0]
    """


@attrs.define
class LeakyReLU(Module):
    """x where x is positive, else ``neg_slope`` times x.

    >>> import torch
    >>> LeakyReLU(0.5)(torch.tensor([-2.0, 3.0])).tolist()
    [-1.0, 3.0]
    """

    neg_slope: float = 1e-3


@attrs.define
class ReLU6(Module):
    """min(max(x, 0), 6).

    >>> import torch
    >>> ReLU6()(torch.tensor([-2.0, 3.0, 9.0])).tolist()
    [0.0, 3.0, 6.0]
    """


@attrs.define
class ELU(Module):
    """x where x is positive, else ``alpha * (exp(x) - 1)``.

    >>> import torch
    >>> ELU()(torch.tensor([0.0, 3.0])).tolist()
    [0.0, 3.0]
    """

    alpha: float = 1.0


@attrs.define
class CELU(Module):
    """x where x is positive, else ``alpha * (exp(x / alpha) - 1)``.

    >>> import torch
    >>> CELU(2.0)(torch.tensor([0.0, 3.0])).tolist()
    [0.0, 3.0]
    """

    alpha: float = 1.0


@attrs.define
class SELU(Module):
    """1.0507 times the ELU of 1.67326: it keeps zero mean and unit variance.

    >>> import torch
    >>> SELU()(torch.tensor(2.0))
    tensor(2.1014)
    """


@attrs.define
class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, which is positive everywhere.

    >>> import torch
    >>> Softplus()(torch.tensor(0.0))
    tensor(0.6931)
    """

    beta: float = 1.0


@attrs.define
class SoftShrink(Module):
    """x, moved by ``lmd`` towards 0; what would pass 0 is 0.

    >>> import torch
    >>> SoftShrink()(torch.tensor([-2.0, 0.3, 3.0])).tolist()
    [-1.5, 0.0, 2.5]
    """

    lmd: float = 0.5


@call.register(ReLU)
def relu(model: ReLU, x: Tensor) -> Tensor:
    """Replace negative elements of (...) with 0."""
    return functional.relu(x)


@call.register(LeakyReLU)
def leaky_relu(model: LeakyReLU, x: Tensor) -> Tensor:
    """Scale negative elements of (...) by ``neg_slope``."""
    return functional.leaky_relu(x, model.neg_slope)


@call.register(ReLU6)
def relu6(model: ReLU6, x: Tensor) -> Tensor:
    """Limit the elements of (...) to 0 and 6."""
    return functional.relu6(x)


@call.register(ELU)
def elu(model: ELU, x: Tensor) -> Tensor:
    """Bend negative elements of (...) towards ``-alpha``."""
    return functional.elu(x, model.alpha)


@call.register(CELU)
def celu(model: CELU, x: Tensor) -> Tensor:
    """Bend negative elements of (...) towards ``-alpha``, with a slope of 1 at 0."""
    return functional.celu(x, model.alpha)


@call.register(SELU)
def selu(model: SELU, x: Tensor) -> Tensor:
    """Map (...) to the same shape."""
    return functional.selu(x)


@call.register(Softplus)
def softplus(model: Softplus, x: Tensor) -> Tensor:
    """Map (...) to positive numbers."""
    return functional.softplus(x, model.beta)


@call.register(SoftShrink)
def soft_shrink(model: SoftShrink, x: Tensor) -> Tensor:
    """Move the elements of (...) towards 0."""
    return functional.softshrink(x, model.lmd)

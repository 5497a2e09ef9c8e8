"""Activations: functions as models, so that a sequence can hold them and they have options."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from caten_sd.errors import ModelError
from caten_sd.nn.module import Module
from caten_sd.objects.call import call

GELU_FORMS = ("tanh", "none", "sigmoid")


@attrs.define
class ReLU(Module):
    """max(x, 0)."""


@attrs.define
class LeakyReLU(Module):
    """x where x is positive, else ``neg_slope`` times x."""

    neg_slope: float = 1e-3


@attrs.define
class GELU(Module):
    """x * Phi(x), by the tanh approximation (GPT-2, Caten) or exact (``approx="none"``)."""

    approx: str = "tanh"

    def __attrs_post_init__(self) -> None:
        if self.approx not in GELU_FORMS:
            raise ModelError(f"GELU: approx must be one of {GELU_FORMS}, not {self.approx!r}")


@attrs.define
class Sigmoid(Module):
    """1 / (1 + exp(-x))."""


@attrs.define
class SiLU(Module):
    """x / (1 + exp(-x))."""


@attrs.define
class Tanh(Module):
    """Hyperbolic tangent."""


@attrs.define
class Softmax(Module):
    """exp(x), scaled to sum to one along ``axis``."""

    axis: int = -1


@attrs.define
class LogSoftmax(Module):
    """Logarithm of the softmax along ``axis``."""

    axis: int = -1


@call.register(ReLU)
def relu(model: ReLU, x: Tensor) -> Tensor:
    """Replace negative elements with 0."""
    return functional.relu(x)


@call.register(LeakyReLU)
def leaky_relu(model: LeakyReLU, x: Tensor) -> Tensor:
    """Scale negative elements by ``neg_slope``."""
    return functional.leaky_relu(x, model.neg_slope)


@call.register(GELU)
def gelu(model: GELU, x: Tensor) -> Tensor:
    """Apply the form that ``model.approx`` names."""
    if model.approx == "sigmoid":
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate=model.approx)


@call.register(Sigmoid)
def sigmoid(model: Sigmoid, x: Tensor) -> Tensor:
    """Map to (0, 1)."""
    return torch.sigmoid(x)


@call.register(SiLU)
def silu(model: SiLU, x: Tensor) -> Tensor:
    """Gate x by itself."""
    return functional.silu(x)


@call.register(Tanh)
def tanh(model: Tanh, x: Tensor) -> Tensor:
    """Map to (-1, 1)."""
    return torch.tanh(x)


@call.register(Softmax)
def softmax(model: Softmax, x: Tensor) -> Tensor:
    """Map scores to probabilities."""
    return torch.softmax(x, model.axis)


@call.register(LogSoftmax)
def log_softmax(model: LogSoftmax, x: Tensor) -> Tensor:
    """Map scores to logarithms of probabilities."""
    return torch.log_softmax(x, model.axis)

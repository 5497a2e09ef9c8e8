"""Gates: x times a smooth step of x."""

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
class GELU(Module):
    """x * Phi(x), by the tanh approximation (GPT-2, Caten) or exact (``approx="none"``).

    >>> import torch
    >>> GELU()(torch.tensor(1.0))
    tensor(0.8412)
    """

    approx: str = "tanh"

    def __attrs_post_init__(self) -> None:
        if self.approx not in GELU_FORMS:
            raise ModelError(f"GELU: approx must be one of {GELU_FORMS}, not {self.approx!r}")


@attrs.define
class SiLU(Module):
    """x / (1 + exp(-x)).

    >>> import torch
    >>> SiLU()(torch.tensor(1.0))
    tensor(0.7311)
    """


@attrs.define
class Mish(Module):
    """x * tanh(softplus(x)).

    >>> import torch
    >>> Mish()(torch.tensor(1.0))
    tensor(0.8651)
    """


@attrs.define
class HardSwish(Module):
    """x * min(max(x + 3, 0), 6) / 6.

    >>> import torch
    >>> HardSwish()(torch.tensor([-3.0, 3.0])).tolist()
    [-0.0, 3.0]
    """


@call.register(GELU)
def gelu(model: GELU, x: Tensor) -> Tensor:
    """Apply the form that ``model.approx`` names to (...)."""
    if model.approx == "sigmoid":
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate=model.approx)


@call.register(SiLU)
def silu(model: SiLU, x: Tensor) -> Tensor:
    """Gate (...) by its sigmoid."""
    return functional.silu(x)


@call.register(Mish)
def mish(model: Mish, x: Tensor) -> Tensor:
    """Gate (...) by the tanh of its softplus."""
    return functional.mish(x)


@call.register(HardSwish)
def hard_swish(model: HardSwish, x: Tensor) -> Tensor:
    """Gate (...) by straight lines."""
    return functional.hardswish(x)

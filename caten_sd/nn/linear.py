"""Linear: an affine map of the last axis."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import Parameter, functional, init

from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.world_layers import plain
from caten_sd.nn.module import Module
from caten_sd.nn.sizes import require_sizes
from caten_sd.objects.call import call


@attrs.define(init=False)
class Linear(Module):
    """``x @ weight.T + bias``; weight is (out, in), Xavier-uniform, bias uniform in ±sqrt(1/out).

    >>> Linear(3, 2, bias=False)
    Linear(weight=<float32 (2, 3)>, bias=None)
    """

    weight: Tensor
    bias: Tensor | None

    def __layers__(self) -> tuple[StandardLayer, ...]:
        """Return what it is in every framework."""
        return (StandardLayer("dense", plain("weight", "bias")),)

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        require_sizes("Linear", in_features=in_features, out_features=out_features)
        self.weight = Parameter(init.xavier_uniform_(torch.empty(out_features, in_features)))
        bound = out_features**-0.5
        self.bias = Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None


@call.register(Linear)
def linear(model: Linear, x: Tensor) -> Tensor:
    """Map (..., in) to (..., out)."""
    return functional.linear(x, model.weight, model.bias)

"""What the modules of tinygrad are as layers: they have the names and the orders of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinygrad import nn

from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import BATCH_NORM, plain, torch_recurrent

_SCALED = plain("weight", "bias")


def layers_of_module(module: Any) -> tuple[StandardLayer, ...]:
    """Return what a module is as a layer, or nothing."""
    return layers_by_class(_LAYERS, module)


def _norm(kind: str) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, _SCALED, epsilon=module.eps)


_LAYERS: Mapping[type, Callable[[Any], StandardLayer]] = {
    nn.Linear: lambda module: StandardLayer("dense", _SCALED),
    nn.Conv2d: lambda module: StandardLayer("convolution", _SCALED, groups=module.groups),
    nn.ConvTranspose2d: lambda module: StandardLayer(
        "transposed convolution", _SCALED, groups=module.groups
    ),
    nn.Embedding: lambda module: StandardLayer("embedding", plain("weight")),
    nn.LayerNorm: _norm("layer norm"),
    nn.RMSNorm: _norm("RMS norm"),
    nn.GroupNorm: lambda module: StandardLayer(
        "group norm", _SCALED, epsilon=module.eps, groups=module.num_groups
    ),
    nn.BatchNorm: lambda module: StandardLayer("batch norm", BATCH_NORM, epsilon=module.eps),
    nn.LSTMCell: lambda module: StandardLayer("LSTM", torch_recurrent()),
}

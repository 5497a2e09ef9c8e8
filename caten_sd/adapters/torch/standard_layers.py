"""What torch's own modules are as layers: the table of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import BATCH_NORM, plain, torch_attention, torch_recurrent

_SCALED = plain("weight", "bias")


def layers_of_module(module: nn.Module) -> tuple[StandardLayer, ...]:
    """Return what a module is as a layer, or nothing."""
    return layers_by_class(_LAYERS, module)


def _convolution(module: Any) -> tuple[StandardLayer, ...]:
    kind = "transposed convolution" if module.transposed else "convolution"
    return (StandardLayer(kind, _SCALED, groups=module.groups),)


def _norm(kind: str) -> Callable[[Any], tuple[StandardLayer, ...]]:
    return lambda module: (StandardLayer(kind, _SCALED, epsilon=module.eps),)


def _recurrent(kind: str) -> Callable[[Any], tuple[StandardLayer, ...]]:
    def layers(module: Any) -> tuple[StandardLayer, ...]:
        if module.proj_size:
            return ()
        ways = ("", "_reverse") if module.bidirectional else ("",)
        suffixes = [f"_l{number}{way}" for number in range(module.num_layers) for way in ways]
        return tuple(StandardLayer(kind, torch_recurrent(each), suffix=each) for each in suffixes)

    return layers


_LAYERS: Mapping[type, Callable[[Any], tuple[StandardLayer, ...]]] = {
    nn.Linear: lambda module: (StandardLayer("dense", _SCALED),),
    _ConvNd: _convolution,
    nn.Embedding: lambda module: (StandardLayer("embedding", plain("weight")),),
    nn.EmbeddingBag: lambda module: (StandardLayer("embedding", plain("weight")),),
    nn.LayerNorm: _norm("layer norm"),
    nn.RMSNorm: _norm("RMS norm"),
    nn.GroupNorm: lambda module: (
        StandardLayer("group norm", _SCALED, epsilon=module.eps, groups=module.num_groups),
    ),
    _BatchNorm: lambda module: (StandardLayer("batch norm", BATCH_NORM, epsilon=module.eps),),
    nn.LSTM: _recurrent("LSTM"),
    nn.GRU: _recurrent("GRU"),
    nn.LSTMCell: lambda module: (StandardLayer("LSTM", torch_recurrent()),),
    nn.GRUCell: lambda module: (StandardLayer("GRU", torch_recurrent()),),
    nn.MultiheadAttention: lambda module: (
        StandardLayer("attention", torch_attention(), heads=module.num_heads),
    ),
}

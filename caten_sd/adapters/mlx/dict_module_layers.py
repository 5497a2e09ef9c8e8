"""What the modules of MLX are as layers: the table of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlx import nn

from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import (
    Rows,
    mlx_convolution,
    mlx_gru,
    mlx_lstm,
    mlx_transposed,
    plain,
    projections,
)

_SCALED = plain("weight", "bias")


def layers_of_module(module: Any) -> tuple[StandardLayer, ...]:
    """Return what a module is as a layer, or nothing."""
    return layers_by_class(_LAYERS, module)


def _convolution(rank: int) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(
        "convolution", mlx_convolution(rank), groups=getattr(module, "groups", 1)
    )


def _transposed(rank: int) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(
        "transposed convolution", mlx_transposed(rank), groups=getattr(module, "groups", 1)
    )


def _norm(kind: str, rows: Rows = _SCALED) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows, epsilon=module.eps)


def _group_norm(module: Any) -> StandardLayer:
    """Return another kind where the channels of a group are not next to one another."""
    alike = module.pytorch_compatible or module.num_groups in (1, module.dims)
    kind = "group norm" if alike else "group norm of every n-th channel"
    return StandardLayer(kind, _SCALED, epsilon=module.eps, groups=module.num_groups)


def _rows(kind: str, rows: Rows) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows)


_LAYERS: Mapping[type, Callable[[Any], StandardLayer]] = {
    nn.Linear: _rows("dense", _SCALED),
    nn.Conv1d: _convolution(3),
    nn.Conv2d: _convolution(4),
    nn.Conv3d: _convolution(5),
    nn.ConvTranspose1d: _transposed(3),
    nn.ConvTranspose2d: _transposed(4),
    nn.ConvTranspose3d: _transposed(5),
    nn.Embedding: _rows("embedding", plain("weight")),
    nn.LayerNorm: _norm("layer norm"),
    nn.RMSNorm: _norm("RMS norm"),
    nn.GroupNorm: _group_norm,
    nn.BatchNorm: _norm("batch norm", plain("weight", "bias", "running_mean", "running_var")),
    nn.MultiHeadAttention: lambda module: StandardLayer(
        "attention", projections("out_proj"), heads=module.num_heads
    ),
    nn.LSTM: _rows("LSTM", mlx_lstm()),
    nn.GRU: _rows("GRU", mlx_gru()),
}

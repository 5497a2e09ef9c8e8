"""What the modules of Equinox are as layers: the table of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx

from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import (
    APART,
    Rows,
    equinox_batch_norm,
    equinox_convolution,
    equinox_gru,
    equinox_lstm,
    equinox_transposed,
    plain,
    projections,
)

_SCALED = plain("weight", "bias")


def layers_of_module(module: Any) -> tuple[StandardLayer, ...]:
    """Return what a module is as a layer, or nothing."""
    return layers_by_class(_LAYERS, module)


def _convolution(module: Any) -> StandardLayer:
    rows = equinox_convolution(2 + module.num_spatial_dims)
    return StandardLayer("convolution", rows, groups=module.groups)


def _transposed(module: Any) -> StandardLayer:
    rows = equinox_transposed(2 + module.num_spatial_dims, module.groups)
    return StandardLayer("transposed convolution", rows, groups=module.groups)


def _batch_norm(module: Any) -> StandardLayer:
    rows = equinox_batch_norm(module.momentum)
    return StandardLayer("batch norm", rows, epsilon=module.eps, apart=APART)


def _norm(kind: str) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, _SCALED, epsilon=module.eps)


def _rows(kind: str, rows: Rows) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows)


_LAYERS: Mapping[type, Callable[[Any], StandardLayer]] = {
    eqx.nn.Linear: _rows("dense", _SCALED),
    eqx.nn.Conv: _convolution,
    eqx.nn.ConvTranspose: _transposed,
    eqx.nn.Embedding: _rows("embedding", plain("weight")),
    eqx.nn.LayerNorm: _norm("layer norm"),
    eqx.nn.RMSNorm: _norm("RMS norm"),
    eqx.nn.GroupNorm: lambda module: StandardLayer(
        "group norm", _SCALED, epsilon=module.eps, groups=module.groups
    ),
    eqx.nn.BatchNorm: _batch_norm,
    eqx.nn.MultiheadAttention: lambda module: StandardLayer(
        "attention", projections("output_proj"), heads=module.num_heads
    ),
    eqx.nn.LSTMCell: _rows("LSTM", equinox_lstm()),
    eqx.nn.GRUCell: _rows("GRU", equinox_gru()),
}

"""What the modules of NNX are as layers: the table of their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import nnx

from caten_sd.adapters.flax.nnx_slots import PytreeHooks
from caten_sd.adapters.flax.value_holders import value_of
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import (
    FLAX_BATCH_NORM,
    FLAX_EMBEDDING,
    FLAX_NORM,
    Rows,
    flax_attention,
    flax_convolution,
    flax_dense,
    flax_gates,
    flax_general,
    flax_joined_gru,
    flax_joined_lstm,
    flax_transposed,
)


class _LayerHooks(PytreeHooks):
    def layers(self) -> Sequence[StandardLayer]:
        return super().layers() or layers_by_class(_LAYERS, self.owner)


def _general(module: Any) -> StandardLayer:
    inputs, outputs = (
        each if isinstance(each, tuple) else (each,)
        for each in (module.in_features, module.out_features)
    )
    if module.batch_axis:
        return StandardLayer("general", ())
    return StandardLayer("dense", flax_general(len(inputs), len(outputs), (*inputs, *outputs)))


def _convolution(module: Any) -> StandardLayer:
    rows = flax_convolution(_rank(module.kernel))
    return StandardLayer("convolution", rows, groups=module.feature_group_count)


def _transposed(module: Any) -> StandardLayer:
    turned = module.transpose_kernel
    rows = flax_transposed(_rank(module.kernel), transpose_kernel=turned)
    return StandardLayer("transposed convolution", rows, groups=1)


def _attention(module: Any) -> StandardLayer:
    heads, key_heads = module.num_heads, module.num_kv_heads
    rows = flax_attention(heads, key_heads)
    return StandardLayer("attention", rows, heads=heads, key_heads=key_heads)


def _norm(kind: str, rows: Rows = FLAX_NORM) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows, epsilon=module.epsilon)


def _rows(kind: str, rows: Rows) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows)


def _rank(kernel: Any) -> int:
    return len(np.shape(value_of(kernel)))


_LAYERS: Mapping[type, Callable[[Any], StandardLayer]] = {
    nnx.Linear: _rows("dense", flax_dense()),
    nnx.LinearGeneral: _general,
    nnx.Conv: _convolution,
    nnx.ConvTranspose: _transposed,
    nnx.Embed: _rows("embedding", FLAX_EMBEDDING),
    nnx.LayerNorm: _norm("layer norm"),
    nnx.RMSNorm: _norm("RMS norm"),
    nnx.GroupNorm: lambda module: StandardLayer(
        "group norm", FLAX_NORM, epsilon=module.epsilon, groups=module.num_groups
    ),
    nnx.BatchNorm: _norm("batch norm", FLAX_BATCH_NORM),
    nnx.MultiHeadAttention: _attention,
    nnx.LSTMCell: _rows("LSTM", flax_gates()),
    nnx.OptimizedLSTMCell: _rows("LSTM", flax_joined_lstm()),
    nnx.GRUCell: _rows("GRU", flax_joined_gru()),
}


@hooks_of.register(nnx.Module)
def _hooks(module: Any, /) -> OwnerHooks:
    return _LayerHooks(module)

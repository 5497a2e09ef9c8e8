"""What the modules of linen are as layers: the table of their classes.

A module has no variables; where it is in a model, its method ``module_paths`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn

from caten_sd.adapters.flax.configurations import LinenModule
from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer, layers_by_class
from caten_sd.mapping.world_layers import (
    APART,
    FLAX_BATCH_NORM,
    FLAX_EMBEDDING,
    FLAX_NORM,
    Rows,
    flax_attention,
    flax_convolution,
    flax_dense,
    flax_gates,
    flax_gru_gates,
    flax_transposed,
)


class _ConfiguredLayer(OwnerHooks):
    def layers(self) -> Sequence[StandardLayer]:
        return super().layers() or layers_by_class(_LAYERS, self.owner)


def _rank(module: Any) -> int:
    size = module.kernel_size
    return 3 if isinstance(size, int) else len(size) + 2


def _convolution(module: Any) -> StandardLayer:
    rows = flax_convolution(_rank(module))
    return StandardLayer("convolution", rows, groups=module.feature_group_count)


def _transposed(module: Any) -> StandardLayer:
    rows = flax_transposed(_rank(module), transpose_kernel=module.transpose_kernel)
    return StandardLayer("transposed convolution", rows, groups=1)


def _norm(kind: str, rows: Rows = FLAX_NORM) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows, epsilon=module.epsilon, apart=APART)


def _rows(kind: str, rows: Rows) -> Callable[[Any], StandardLayer]:
    return lambda module: StandardLayer(kind, rows)


_LAYERS: Mapping[type, Callable[[Any], StandardLayer]] = {
    nn.Dense: _rows("dense", flax_dense()),
    nn.Conv: _convolution,
    nn.ConvTranspose: _transposed,
    nn.Embed: _rows("embedding", FLAX_EMBEDDING),
    nn.LayerNorm: _norm("layer norm"),
    nn.RMSNorm: _norm("RMS norm"),
    nn.GroupNorm: lambda module: StandardLayer(
        "group norm", FLAX_NORM, epsilon=module.epsilon, groups=module.num_groups or 0
    ),
    nn.BatchNorm: _norm("batch norm", FLAX_BATCH_NORM),
    nn.MultiHeadDotProductAttention: lambda module: StandardLayer(
        "attention", flax_attention(module.num_heads), heads=module.num_heads
    ),
    nn.LSTMCell: _rows("LSTM", flax_gates("if")),
    nn.OptimizedLSTMCell: _rows("LSTM", flax_gates("if")),
    nn.GRUCell: _rows("GRU", flax_gru_gates()),
}


@hooks_of.register(LinenModule)
def _hooks(module: Any, /) -> OwnerHooks:
    return _ConfiguredLayer(module)

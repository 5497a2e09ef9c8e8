"""Which rows the layers of each known framework may have, for files that tell nothing but names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from caten_sd.mapping import world_layers as lie
from caten_sd.mapping.world_layers import Rows, plain


@dataclass(frozen=True)
class LayerNumbers:
    """What a layer in the other model says of itself: the rank of its kernel, and counts."""

    rank: int = 2
    heads: int = 0
    key_heads: int = 0
    groups: int = 1


Table = Mapping[str, Callable[[LayerNumbers], Iterable[Rows]]]

_SCALED = plain("weight", "bias")


def _always(*rows: Rows) -> Callable[[LayerNumbers], Iterable[Rows]]:
    return lambda numbers: rows


def _flax_attention(numbers: LayerNumbers) -> Iterable[Rows]:
    return [lie.flax_attention(numbers.heads, numbers.key_heads)] if numbers.heads else []


def _with_norms(rows: Rows, **table: Any) -> Table:
    return {**dict.fromkeys(("layer norm", "RMS norm", "group norm"), _always(rows)), **table}


_TORCH = _with_norms(
    _SCALED,
    **{
        "dense": _always(_SCALED),
        "convolution": _always(_SCALED),
        "transposed convolution": _always(_SCALED),
        "embedding": _always(plain("weight")),
        "batch norm": _always(lie.BATCH_NORM),
        "LSTM": _always(*map(lie.torch_recurrent, ("", "_l0"))),
        "GRU": _always(*map(lie.torch_recurrent, ("", "_l0"))),
        "attention": _always(lie.torch_attention()),
    },
)

_FLAX = _with_norms(
    lie.FLAX_NORM,
    **{
        "dense": _always(lie.flax_dense()),
        "convolution": lambda numbers: [lie.flax_convolution(numbers.rank)],
        "transposed convolution": lambda numbers: [
            lie.flax_transposed(numbers.rank, transpose_kernel=turned) for turned in (False, True)
        ],
        "embedding": _always(lie.FLAX_EMBEDDING),
        "batch norm": _always(lie.FLAX_BATCH_NORM),
        "LSTM": _always(lie.flax_gates(), lie.flax_gates("if"), lie.flax_joined_lstm()),
        "GRU": _always(lie.flax_joined_gru(), lie.flax_gru_gates()),
        "attention": _flax_attention,
    },
)


def _as_saved(
    makers: Callable[[LayerNumbers], Iterable[Rows]],
) -> Callable[[LayerNumbers], Iterable[Rows]]:
    """Return rows for the names of Flax as they are, and as Orbax saves those of NNX."""

    def both(numbers: LayerNumbers) -> Iterable[Rows]:
        for rows in makers(numbers):
            yield rows
            yield tuple(
                replace(row, here=tuple(f"{name}.value" for name in row.names)) for row in rows
            )

    return both


WORLDS: Mapping[str, Table] = {
    "torch": _TORCH,
    "caten_sd": {
        **_TORCH,
        "layer norm": _always(plain("bias", weight="affine")),
        "batch norm": _always(plain("bias", *lie.STATISTICS, weight="affine")),
        "attention": _always(lie.joined_attention("c_attn", "c_proj")),
    },
    "flax": {kind: _as_saved(rows) for kind, rows in _FLAX.items()},
    "equinox": _with_norms(
        _SCALED,
        **{
            "dense": _always(_SCALED),
            "convolution": lambda numbers: [lie.equinox_convolution(numbers.rank)],
            "transposed convolution": lambda numbers: [
                lie.equinox_transposed(numbers.rank, numbers.groups)
            ],
            "embedding": _always(plain("weight")),
            "batch norm": _always(lie.equinox_batch_norm(None)),
            "LSTM": _always(lie.equinox_lstm()),
            "GRU": _always(lie.equinox_gru()),
            "attention": _always(lie.projections("output_proj")),
        },
    ),
    "mlx": _with_norms(
        _SCALED,
        **{
            "dense": _always(_SCALED),
            "convolution": lambda numbers: [lie.mlx_convolution(numbers.rank)],
            "transposed convolution": lambda numbers: [lie.mlx_transposed(numbers.rank)],
            "embedding": _always(plain("weight")),
            "batch norm": _always(plain("weight", "bias", "running_mean", "running_var")),
            "LSTM": _always(lie.mlx_lstm()),
            "GRU": _always(lie.mlx_gru()),
            "attention": _always(lie.projections("out_proj")),
        },
    ),
}

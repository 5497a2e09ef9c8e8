"""Flax: NNX modules and states, and the boxes and train states of linen."""

from caten_sd.adapters.flax import (
    configurations,
    field_numbers,
    linen_layers,
    nnx_layers,
    nnx_slots,
    random_streams,
    train_states,
    value_holders,
)

__all__ = [
    "configurations",
    "field_numbers",
    "linen_layers",
    "nnx_layers",
    "nnx_slots",
    "random_streams",
    "train_states",
    "value_holders",
]

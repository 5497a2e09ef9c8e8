"""tinygrad: tensors that are computed when they are read, and modules of plain classes."""

from caten_sd.adapters.tinygrad import (
    buffer_places,
    graph_tensors,
    optimizer_tensors,
    plain_module_layers,
    plain_modules,
)

__all__ = [
    "buffer_places",
    "graph_tensors",
    "optimizer_tensors",
    "plain_module_layers",
    "plain_modules",
]

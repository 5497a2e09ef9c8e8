"""MLX: arrays that are computed when they are read, modules that are dicts, and optimizers."""

from caten_sd.adapters.mlx import (
    dict_module_layers,
    dict_modules,
    lazy_arrays,
    optimizer_slots,
    shared_memory_places,
)

__all__ = [
    "dict_module_layers",
    "dict_modules",
    "lazy_arrays",
    "optimizer_slots",
    "shared_memory_places",
]

"""torch: everything that is known of it, by noun; imported when its first object is met."""

from caten_sd.adapters.torch import (
    buffers,
    distributed,
    flat,
    history,
    leaves,
    modules,
    optimizers,
    places,
    units,
    wrapper_modules,
)

__all__ = [
    "buffers",
    "distributed",
    "flat",
    "history",
    "leaves",
    "modules",
    "optimizers",
    "places",
    "units",
    "wrapper_modules",
]

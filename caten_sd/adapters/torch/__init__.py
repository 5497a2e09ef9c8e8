"""torch: one file per noun; imported when the first object of torch is met."""

from caten_sd.adapters.torch import (
    buffers,
    distributed,
    flat,
    leaves,
    load_hooks,
    modules,
    optimizers,
    places,
    synthesized_state,
    wrapper_modules,
)

__all__ = [
    "buffers",
    "distributed",
    "flat",
    "leaves",
    "load_hooks",
    "modules",
    "optimizers",
    "places",
    "synthesized_state",
    "wrapper_modules",
]

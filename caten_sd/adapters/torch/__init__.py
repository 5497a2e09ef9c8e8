"""torch: one file per noun; imported when the first object of torch is met."""

from caten_sd.adapters.torch import (
    distributed,
    flat,
    leaves,
    module_hooks,
    module_slots,
    modules,
    optimizers,
    places,
    synthesized_state,
    wrapper_modules,
)

__all__ = [
    "distributed",
    "flat",
    "leaves",
    "module_hooks",
    "module_slots",
    "modules",
    "optimizers",
    "places",
    "synthesized_state",
    "wrapper_modules",
]

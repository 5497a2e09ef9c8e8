"""Modules that wrap a model: recognized by their class, never by a name in a key."""

from __future__ import annotations

import functools

from torch import nn

from caten_sd.objects.owner import unwrap

# Named instead of imported: torch._dynamo alone takes a second to import.
_ATTRIBUTES = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": (
        "_fsdp_wrapped_module"
    ),
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper.ActivationWrapper": (
        "_checkpoint_wrapped_module"
    ),
    "torch.optim.swa_utils.AveragedModel": "module",
}


@functools.cache
def inner_name(cls: type) -> str | None:
    """Return the attribute in which a wrapper class keeps its model; None for other classes."""
    names = (_ATTRIBUTES.get(f"{each.__module__}.{each.__qualname__}") for each in cls.__mro__)
    return next((name for name in names if name), None)


@unwrap.register(nn.Module)
def _unwrap(module: nn.Module, /) -> nn.Module:
    while (name := inner_of(module)) and (inner := module._modules.get(name)) is not None:
        module = inner
    return module


def inner_of(module: nn.Module | None) -> str | None:
    """Return the attribute in which this module keeps the model that it wraps, or None."""
    cls: type = type(module)
    return inner_name(cls)

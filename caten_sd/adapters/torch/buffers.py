"""Compute the buffers that a torch module does not save, for a model on the meta device."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def rebuilt(module: nn.Module, root: Any, names: list[str]) -> dict[str, Any]:
    """Initialize a twin of the module whose buffers have memory, and return those buffers.

    The initializer is ``reset_parameters``, as in torch's own deferred initialization, or
    ``_init_weights`` of the root, as in transformers. Either would overwrite weights too, so this
    is done only for a module that has nothing but such buffers.
    """
    own = module._parameters.keys() | module._buffers.keys() - module._non_persistent_buffers_set
    reset = getattr(type(module), "reset_parameters", None)
    init = getattr(root, "_init_weights", None)
    if own or not (reset or init):
        return {}
    twin: nn.Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    empty = {name: leaf for name, leaf in module._buffers.items() if name in names}
    made = {n: torch.full_like(b, _UNSET, device="cpu") for n, b in empty.items() if b is not None}
    twin.__dict__["_buffers"] = module._buffers | made
    try:
        if reset:
            reset(twin)
        elif init:
            init(twin)
    except Exception:  # the plan then names these buffers as missing
        return {}
    return {n: b for n in names if (b := twin._buffers.get(n)) is not None and _is_set(b)}


_UNSET = 77  # a buffer that is still full of it was not written


def _is_set(leaf: torch.Tensor) -> bool:
    return not leaf.is_meta and not bool((leaf == _UNSET).all())

"""Buffers that a torch module makes and does not save, made again for a model without data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from caten_sd.loading.load_target import rebuild


@rebuild.register(nn.Module)
def _rebuild(module: nn.Module, /, *, root: Any, names: list[str]) -> dict[str, Any]:
    """Ask what initialises the module, of a twin with memory for its buffers.

    That is ``reset_parameters``, as for torch's own deferred initialisation, or transformers'
    ``_init_weights`` of the whole model. Either would overwrite weights too, so only a module that
    has nothing but such buffers is asked.
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
    except Exception:  # what it cannot make is named as missing
        return {}
    return {n: b for n in names if (b := twin._buffers.get(n)) is not None and _is_set(b)}


_UNSET = 77  # a value that tells what was not written; a buffer full of it counts as not made


def _is_set(leaf: torch.Tensor) -> bool:
    return not leaf.is_meta and not bool((leaf == _UNSET).all())

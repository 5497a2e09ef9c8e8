"""Part the caches of a model from other calls, so that they keep no gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caten_sd.nn.walk import Walk
from caten_sd.objects.owner import put, slots_of


def cut_caches(model: Any, *inputs: Any, **options: Any) -> None:
    """Part the tensors in the caches of a model from the calls that wrote them.

    A call writes into a cache, and the gradients of the call before it need the cache as it was.
    What inference mode left there cannot be written outside it. So this runs before and after the
    calls of a model that has caches; what such a call takes may follow the model.
    """
    Walk(enter=_cut)(model)


def _cut(owner: Any) -> None:
    for name, value, kind in list(slots_of(owner) or ()):
        if kind == "cache" and (parted := _parted(value)) is not value:
            put(owner, name, parted)


def _parted(value: Any) -> Any:
    """Return a tensor without its history; the items of a list are replaced in the list itself."""
    if isinstance(value, list):
        value[:] = [_parted(each) for each in value]
    elif isinstance(value, Tensor) and _belongs_to_another_call(value):
        return value.detach().clone()
    return value


def _belongs_to_another_call(value: Tensor) -> bool:
    if value.is_inference():
        return not torch.is_inference_mode_enabled()
    return value.grad_fn is not None and torch.is_grad_enabled()

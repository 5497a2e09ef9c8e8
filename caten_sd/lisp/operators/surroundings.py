"""What surrounds a forward pass: where new tensors are made, and what its caches keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from caten_sd.nn.walk import Walk
from caten_sd.objects.owner import put, slots_of


@contextmanager
def surroundings(model: Any, inputs: Sequence[Any]) -> Iterator[None]:
    """Make new tensors where the inputs are; part the caches of a model from other calls.

    A call writes into a cache, and the gradients of the call before it need the cache as it was.
    What inference mode left there cannot be written outside it.
    """
    Walk(enter=_cut_caches)(model)
    with _device_of(inputs):
        yield
    Walk(enter=_cut_caches)(model)


def _device_of(inputs: Sequence[Any]) -> AbstractContextManager[Any]:
    devices = [each.device for each in inputs if isinstance(each, Tensor)]
    # On the CPU, where tensors are made without being asked, this would slow every operation.
    return devices[0] if devices and devices[0].type != "cpu" else nullcontext()


def _cut_caches(owner: Any) -> None:
    for name, value, kind in list(slots_of(owner) or ()):
        if kind == "cache" and isinstance(value, Tensor) and _belongs_to_another_call(value):
            put(owner, name, value.detach().clone())


def _belongs_to_another_call(value: Tensor) -> bool:
    if value.is_inference():
        return not torch.is_inference_mode_enabled()
    return value.grad_fn is not None and torch.is_grad_enabled()

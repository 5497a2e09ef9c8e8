"""What surrounds a forward pass: where new tensors are made, and what its caches keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor

from caten_sd.nn.cache_cut import cut_caches


@contextmanager
def surroundings(model: Any, inputs: Sequence[Any]) -> Iterator[None]:
    """Make new tensors where the inputs are; part the caches of a model from other calls."""
    cut_caches(model)
    with _device_of(inputs):
        yield
    cut_caches(model)


def _device_of(inputs: Sequence[Any]) -> AbstractContextManager[Any]:
    devices = [each.device for each in inputs if isinstance(each, Tensor)]
    # On the CPU, where tensors are made without being asked, this would slow every operation.
    return devices[0] if devices and devices[0].type != "cpu" else nullcontext()

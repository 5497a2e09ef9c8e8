"""The slots of MLX's optimizers: the entries of their state, by name as in the model's tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlx.optimizers import Optimizer

from caten_sd.objects.owner import Slot, put, slots_of


@slots_of.register(Optimizer)
def _slots(optimizer: Any, /) -> Iterator[Slot]:
    for name, value in optimizer.state.items():
        yield name, value, "state"


@put.register(Optimizer)
def _put(optimizer: Any, name: Any, value: Any, /) -> None:
    optimizer.state[name] = value

"""A model divided in several ways, and checks on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

from caten_sd import get_state_dict
from caten_sd.state.source import Source


class Net(nn.Module):
    """Sizes that neither 2 nor 4 divides, a tie, and a buffer that every process has."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(11, 6)
        self.up = nn.Linear(6, 9)
        self.down = nn.Linear(9, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.wte.weight
        self.register_buffer("scale", torch.ones(3))

    def forward(self, ids: Any) -> Any:
        return self.head(self.down(torch.relu(self.up(self.wte(ids)))))


def values(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the state of a Net with random weights."""
    torch.manual_seed(seed)
    state = {k: torch.randn_like(v) for k, v in Net().state_dict().items()}
    return {**state, "head.weight": state["wte.weight"]}


def mesh(*sizes: int) -> Any:
    return init_device_mesh("cpu", sizes, mesh_dim_names=("dp", "tp")[: len(sizes)])


def net(kind: str) -> nn.Module:
    """Return a Net divided over all processes, in one of several ways."""
    size = dist.get_world_size()
    torch.manual_seed(99)
    model = Net()
    if kind == "meta":
        with torch.device("meta"):
            model = Net()
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    if kind == "tp":
        parallelize_module(model, mesh(size), plan)
        return model
    if kind == "2d":
        both = mesh(size // 2, 2)
        parallelize_module(model, both["tp"], plan)
        fully_shard(model, mesh=both["dp"])
        return model
    for child in (model.up, model.down):
        fully_shard(child, mesh=mesh(size))
    fully_shard(model, mesh=mesh(size))
    return model


def whole(state: Any) -> dict[str, torch.Tensor]:
    """Return the state with every tensor gathered."""
    return {k: v.full_tensor() if isinstance(v, DTensor) else v for k, v in state.items()}


def differing(model: Any, wanted: Any) -> list[str]:
    found = whole(get_state_dict(model))
    return [key for key in found if not torch.equal(found[key], wanted[key])]


@contextlib.contextmanager
def counted() -> Iterator[set[tuple[int, int, int]]]:
    """Collect the ranges of a file that are read; a range that is read twice counts once."""
    ranges: set[tuple[int, int, int]] = set()
    view, read = Source.view, Source.read

    def counting(function: Any) -> Any:
        def count(self: Source, offset: int, size: int) -> Any:
            ranges.add((id(self._backing), self._start + offset, size))
            return function(self, offset, size)

        return count

    Source.view, Source.read = counting(view), counting(read)  # type: ignore[method-assign]
    try:
        yield ranges
    finally:
        Source.view, Source.read = view, read  # type: ignore[method-assign]


@contextlib.contextmanager
def nothing_gathered(*, sending: str = "c10d.allreduce_") -> Iterator[None]:
    """Fail if a tensor is gathered; a load sends three numbers, and a save its plan."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a tensor is gathered")

    before = DTensor.full_tensor, DTensor.redistribute
    DTensor.full_tensor = DTensor.redistribute = fail  # type: ignore[method-assign]
    try:
        with CommDebugMode() as communication:
            yield
    finally:
        DTensor.full_tensor, DTensor.redistribute = before  # type: ignore[method-assign]
    sent = {str(kind) for kind, count in communication.get_comm_counts().items() if count}
    assert sent <= set(sending.split()), sent


def own_bytes(model: Any) -> int:
    leaves = {id(leaf): leaf for leaf in get_state_dict(model).values()}.values()
    return sum((v.to_local() if isinstance(v, DTensor) else v).nbytes for v in leaves)

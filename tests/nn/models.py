from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn import Parameter

from caten_sd.nn import Linear, Module, buffer, transient


def ramp(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


@attrs.define
class Everything(Module):
    weight: Tensor = attrs.field(factory=lambda: Parameter(ramp(2)))
    mask: Tensor = buffer(factory=lambda: ramp(3))
    table: Tensor = buffer(persistent=False, factory=lambda: ramp(4))
    counts: Tensor = buffer(factory=lambda: torch.arange(2))
    cache: Tensor = transient(factory=lambda: ramp(5))
    parts: list[object] = attrs.field(factory=lambda: [None, Linear(2, 2)])
    pair: tuple[object, ...] = attrs.field(factory=lambda: (Parameter(ramp(1)), "text"))
    named: dict[str, object] = attrs.field(factory=lambda: {"a-b": Linear(2, 1, bias=False)})
    foreign: torch.nn.Module = attrs.field(factory=lambda: torch.nn.BatchNorm1d(2))
    scale: float = 2.0

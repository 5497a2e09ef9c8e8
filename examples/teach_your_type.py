"""Teach caten_sd your own types: one method gives their state, another loads it.

python examples/teach_your_type.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from caten_sd import (
    get_state_dict,
    load_state_dict,
    read_state_dict,
    to_state_dict,
    write_state_dict,
)
from caten_sd.extend import Numpy, Spec, Torch, as_array, assign, spec

# 1. A quantized weight: one object that holds two tensors.


class Int8Weight:
    """A matrix as int8 numbers and one scale per row."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.scale = weight.abs().amax(1, keepdim=True) / 127
        self.numbers = (weight / self.scale).round().to(torch.int8)

    def full(self) -> torch.Tensor:
        return self.numbers * self.scale


@to_state_dict.register(Int8Weight)
def int8_state(obj: Int8Weight, parent: list[Any], /) -> list[Any]:
    return [([*parent, "numbers"], obj.numbers), ([*parent, "scale"], obj.scale)]


# Loading needs no method: both leaves are tensors, and values are copied into them.

# 2. A subclass with one more tensor: it adds a pair to those of the next method.


class ShiftedInt8Weight(Int8Weight):
    """The same for a matrix whose rows have a mean far from zero."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.shift = weight.mean(1, keepdim=True)
        super().__init__(weight - self.shift)

    def full(self) -> torch.Tensor:
        return super().full() + self.shift


@to_state_dict.register(ShiftedInt8Weight)
def shifted_state(call_next_method: Any, obj: ShiftedInt8Weight, parent: list[Any], /) -> list[Any]:
    return [*call_next_method(obj, parent), ([*parent, "shift"], obj.shift)]


# 3. A LoRA pair that is saved as the plain weight that it represents: a leaf of a new type.


class LoraWeight:
    """A frozen matrix plus the product of two thin matrices, which are trained."""

    def __init__(self, base: torch.Tensor, rank: int) -> None:
        self.base = base
        self.down = torch.nn.Parameter(torch.randn(rank, base.shape[1]) / rank)
        self.up = torch.nn.Parameter(torch.zeros(base.shape[0], rank))

    def full(self) -> torch.Tensor:
        return self.base + self.up @ self.down


@to_state_dict.register(LoraWeight)
def lora_state(obj: LoraWeight, parent: list[Any], /) -> list[Any]:
    return [(parent, obj)]


@spec.register(LoraWeight)
def lora_spec(obj: LoraWeight, /) -> Spec:
    return spec(obj.base)  # known without computing the sum


@as_array.register(Numpy, LoraWeight)
def lora_values(kind: Numpy, obj: LoraWeight, /) -> np.ndarray[Any, Any]:
    return obj.full().detach().numpy()


@assign.register(LoraWeight)
def lora_assign(slot: LoraWeight, leaf: Any, /) -> None:
    """Keep the base, and fit the pair to the difference between the leaf and the base."""
    rank = len(slot.down)
    up, size, down = torch.linalg.svd(as_array(Torch(), leaf) - slot.base, full_matrices=False)
    with torch.no_grad():
        slot.up.copy_(up[:, :rank] * size[:rank])
        slot.down.copy_(down[:rank])


# All three in one model, written to a file and loaded from it.


@attrs.define
class Model:
    embed: Int8Weight
    blocks: list[Any]
    head: LoraWeight

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for weight in (self.embed, *self.blocks, self.head):
            x = x @ weight.full().T
        return x


BASE = torch.randn(8, 8)


def build() -> Model:
    blocks = [ShiftedInt8Weight(torch.randn(8, 8) + 3), Int8Weight(torch.randn(8, 8))]
    return Model(Int8Weight(torch.randn(8, 8)), blocks, LoraWeight(BASE, rank=2))


def main() -> None:
    trained, fresh = build(), build()
    with torch.no_grad():
        trained.head.up.normal_()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        write_state_dict(get_state_dict(trained), path)
        with read_state_dict(path) as file:
            print(file)
            load_state_dict(fresh, file, strict=True)
    x = torch.randn(1, 8)
    print("largest difference:", float((trained(x) - fresh(x)).abs().max().detach()))


if __name__ == "__main__":
    main()

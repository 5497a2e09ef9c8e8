"""Both models in caten_sd.nn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch

from caten_sd import save
from caten_sd.nn import BatchNorm, Conv2d, Linear, Module, Transformer, call


@attrs.define
class Seer(Module):
    first: Any
    first_norm: Any
    second: Any
    second_norm: Any
    out: Any


@call.register(Seer)
def see(model: Seer, x: Any) -> Any:
    x = torch.relu(call(model.first_norm, call(model.first, x)))
    x = torch.relu(call(model.second_norm, call(model.second, x)))
    return call(model.out, x.mean((2, 3)))


def transformer() -> Any:
    return Transformer(8, 2, 2, 1e-5, 11, max_seq_len=6)


def convolutional() -> Any:
    layers = Conv2d(3, 4, 3), BatchNorm(4), Conv2d(4, 6, 3, groups=2), BatchNorm(6), Linear(6, 5)
    return Seer(*layers)


def run(model: Any, x: Any) -> Any:
    with torch.no_grad():
        return call(model.eval(), torch.from_numpy(x)).numpy()


def write(model: Any, folder: Path) -> Path:
    save(model, folder / "model.safetensors")
    return folder / "model.safetensors"

"""Loading an optimizer's state: twice as many parameters take twice as long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from caten_sd import TrainingState, load, save

from .conftest import Race

FEW, MANY = 2_000, 8_000


def training(count: int) -> TrainingState:
    model = nn.ParameterList([torch.zeros(4) for _ in range(count)])
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return TrainingState(model, optimizer)


def loading(folder: Path, count: int) -> Callable[[], object]:
    path, state = folder / f"{count}.safetensors", training(count)
    save(state, path)
    return lambda: load(state, path)


def test_an_optimizer_of_4_times_as_many_parameters(race: Race, tmp_path: Path) -> None:
    what = f"load AdamW and its model, {MANY:,} parameters / {FEW:,}"
    race(what, loading(tmp_path, MANY), loading(tmp_path, FEW), MANY / FEW * 1.2, pairs=5)

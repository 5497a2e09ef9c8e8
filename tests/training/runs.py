"""Small trainings, the same each time, that can be stopped and resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from caten_sd import TrainingState, get_state_dict, load_state_dict, read_state_dict
from caten_sd import write_state_dict as write


class Net(nn.Module):
    def __init__(self, width: int = 6, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(4, width, dtype=dtype)
        self.outer = nn.Linear(width, 3, bias=False, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(torch.tanh(self.inner(x)))


def train(training: TrainingState, until: int, dtype: torch.dtype = torch.float32) -> None:
    """Go on from the training's step; the random input depends on the step alone."""
    model, optimizer = training.model, training.optimizer
    while training.step < until:
        chance = torch.Generator().manual_seed(training.step)
        x = torch.randn(5, 4, generator=chance).to(dtype)

        def loss(x: torch.Tensor = x) -> torch.Tensor:
            optimizer.zero_grad()
            error = (model(x) - 1).square().mean()
            error.backward()
            return error

        optimizer.step(loss)
        training.step += 1


def unbroken_and_resumed(
    file: Path, make: Callable[[], TrainingState], go: Callable[[TrainingState, int], Any]
) -> tuple[TrainingState, TrainingState]:
    """Return a training of 7 steps without a stop, and one that was saved and resumed after 3."""
    unbroken = make()
    go(unbroken, 3)
    write(get_state_dict(unbroken), file)
    go(unbroken, 7)
    resumed = make()
    with read_state_dict(file) as saved:
        load_state_dict(resumed, saved, strict=True)
    assert resumed.step == 3
    go(resumed, 7)
    return unbroken, resumed


def assert_same(one: Any, other: Any) -> None:
    """Compare all that is saved of two trainings, bit for bit."""
    first, second = get_state_dict(one), get_state_dict(other)
    assert list(first) == list(second)
    for key in first:
        a, b = torch.as_tensor(first[key]), torch.as_tensor(second[key])
        assert a.dtype == b.dtype, key
        assert a.shape == b.shape, key
        same = torch.equal(
            a.detach().reshape(-1).view(torch.uint8), b.detach().reshape(-1).view(torch.uint8)
        )
        assert same, key


def training(
    kind: Any = AdamW, dtype: torch.dtype = torch.float32, **options: Any
) -> TrainingState:
    net = Net(dtype=dtype)
    return TrainingState(net, kind(net.parameters(), **copy.deepcopy(options)))


def trained(kind: Any = AdamW, **options: Any) -> TrainingState:
    made = training(kind, **options)
    train(made, 3)
    return made

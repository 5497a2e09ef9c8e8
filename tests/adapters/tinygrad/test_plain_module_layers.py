"""Layers of tinygrad against those of torch: equal outputs, whichever has the values."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caten_sd import between
from tests.adapters.standard_layers import CASES, Case, Crossing, made, ran

tinygrad: Any = pytest.importorskip("tinygrad", reason="tinygrad is not installed")
nn: Any = pytest.importorskip("tinygrad.nn")

pytestmark = pytest.mark.slow


def plainly(model: Any, x: Any) -> Any:
    return model(tinygrad.Tensor(x)).numpy()


def stepped(cell: Any, x: Any) -> Any:
    return cell(tinygrad.Tensor(x))[0].numpy()


LAYERS = {
    "dense": (lambda: nn.Linear(3, 5), plainly),
    "convolution 1d": (lambda: nn.Conv1d(4, 6, 3), plainly),
    "convolution 2d": (lambda: nn.Conv2d(3, 5, (2, 3)), plainly),
    "convolution, groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), plainly),
    "transposed 2d": (lambda: nn.ConvTranspose2d(3, 5, (2, 3)), plainly),
    "layer norm": (lambda: nn.LayerNorm(6), plainly),
    "RMS norm": (lambda: nn.RMSNorm(6, eps=1e-5), plainly),
    "group norm": (lambda: nn.GroupNorm(2, 6), plainly),
    "batch norm": (lambda: nn.BatchNorm(5), plainly),
    "LSTM": (lambda: nn.LSTMCell(3, 4), stepped),
}
CELL = Case(lambda: torch.nn.LSTMCell(3, 4), (2, 3), ran)


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_are_equal_in_both_directions_and_bytes_the_same(name: str) -> None:
    case = CELL if name == "LSTM" else CASES[name]
    make, run = LAYERS[name]
    pair = Crossing(made(case, 1), make(), case, run)
    assert max(pair.errors()) < 1e-5
    assert pair.returned()
    assert not between(pair.torch, pair.other).notes

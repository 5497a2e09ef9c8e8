"""Layers of MLX against those of torch: equal outputs, whichever has the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, between
from tests.adapters.standard_layers import CASES, Crossing, made

mx: Any = pytest.importorskip(
    "mlx.core", reason="MLX is not installed: pip install 'caten-sd[mlx]'"
)
nn: Any = pytest.importorskip("mlx.nn")

pytestmark = pytest.mark.slow


def plainly(model: Any, x: Any) -> Any:
    model.eval()
    return np.array(model(mx.array(x)))


def last(model: Any, x: Any) -> Any:
    """Run on channels first."""
    return np.moveaxis(plainly(model, np.ascontiguousarray(np.moveaxis(x, 1, -1))), -1, 1)


def in_batches(model: Any, x: Any) -> Any:
    """Run on (time, batch, ...)."""
    output = model(mx.array(x.swapaxes(0, 1)))
    return np.array(output[0] if isinstance(output, tuple) else output).swapaxes(0, 1)


def attended(model: Any, x: Any) -> Any:
    given = mx.array(x.swapaxes(0, 1))
    return np.array(model(given, given, given)).swapaxes(0, 1)


LAYERS = {
    "dense": (lambda: nn.Linear(3, 5), plainly),
    "dense, square": (lambda: nn.Linear(4, 4), plainly),
    "dense without bias": (lambda: nn.Linear(3, 5, bias=False), plainly),
    "convolution 1d": (lambda: nn.Conv1d(4, 6, 3), last),
    "convolution 2d": (lambda: nn.Conv2d(3, 5, (2, 3)), last),
    "convolution 3d": (lambda: nn.Conv3d(3, 5, (1, 2, 3)), last),
    "convolution, groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), last),
    "convolution, square": (lambda: nn.Conv2d(3, 3, 3), last),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 6, 3), last),
    "transposed 2d": (lambda: nn.ConvTranspose2d(3, 5, (2, 3)), last),
    "transposed, square": (lambda: nn.ConvTranspose2d(3, 3, 3), last),
    "transposed 3d": (lambda: nn.ConvTranspose3d(3, 5, (1, 2, 3)), last),
    "layer norm": (lambda: nn.LayerNorm(6), plainly),
    "RMS norm": (lambda: nn.RMSNorm(6), plainly),
    "group norm": (lambda: nn.GroupNorm(2, 6, pytorch_compatible=True), last),
    "batch norm": (lambda: nn.BatchNorm(5), last),
    "LSTM": (lambda: nn.LSTM(3, 4), in_batches),
    "GRU": (lambda: nn.GRU(3, 4), in_batches),
    "attention": (lambda: nn.MultiHeadAttention(8, 2, bias=True), attended),
}
SUMS = ("LSTM", "GRU")


def crossing(name: str) -> Crossing:
    make, run = LAYERS[name]
    return Crossing(made(CASES[name], 1), make(), CASES[name], run)


def test_every_layer_is_run() -> None:
    assert LAYERS.keys() == CASES.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_are_equal_in_both_directions(name: str) -> None:
    assert max(crossing(name).errors()) < 1e-5


@pytest.mark.parametrize("name", LAYERS)
def test_all_but_sums_return_the_same_bytes_and_sums_are_said(name: str) -> None:
    pair = crossing(name)
    there, back = between(pair.torch, pair.other), between(pair.other, pair.torch)
    if name in SUMS:
        assert any("are added" in note for note in there.notes)
        assert any("zeros are filled in" in note for note in back.notes)
    else:
        assert pair.returned()
        assert len(there.notes) == len(back.notes) == (name == "batch norm")


def test_a_group_norm_that_groups_in_another_way_is_refused() -> None:
    with pytest.raises(LayoutError, match="every n-th channel"):
        between(made(CASES["group norm"], 1), nn.GroupNorm(2, 6))

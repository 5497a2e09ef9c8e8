"""Layers of torch, each with inputs, against which those of another framework are run.

Inputs and outputs are in torch's orders of axes: channels first, and time first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from caten_sd import between, get_state_dict, to_layout, with_state

Array = Any
Run = Callable[[Any, Array], Array]


def ran(module: Any, *inputs: Array) -> Array:
    """Return the first output of a module of torch, without training it."""
    with torch.no_grad():
        output = module.eval()(*map(torch.from_numpy, inputs))
    while isinstance(output, tuple):
        output = output[0]
    return output.numpy()


def attended(module: Any, x: Array) -> Array:
    """Return the output of attention to itself."""
    return ran(module, x, x, x)


@dataclass(frozen=True)
class Case:
    """A layer of torch, and the shape of an input."""

    make: Callable[[], Any]
    shape: tuple[int, ...]
    run: Run = ran


CASES = {
    "dense": Case(lambda: nn.Linear(3, 5), (2, 3)),
    "dense, square": Case(lambda: nn.Linear(4, 4), (2, 4)),
    "dense without bias": Case(lambda: nn.Linear(3, 5, bias=False), (2, 3)),
    "convolution 1d": Case(lambda: nn.Conv1d(4, 6, 3), (2, 4, 9)),
    "convolution 2d": Case(lambda: nn.Conv2d(3, 5, (2, 3)), (2, 3, 7, 8)),
    "convolution 3d": Case(lambda: nn.Conv3d(3, 5, (1, 2, 3)), (2, 3, 4, 5, 6)),
    "convolution, groups": Case(lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 8)),
    "convolution, square": Case(lambda: nn.Conv2d(3, 3, 3), (2, 3, 7, 8)),
    "transposed 1d": Case(lambda: nn.ConvTranspose1d(4, 6, 3), (2, 4, 9)),
    "transposed 2d": Case(lambda: nn.ConvTranspose2d(3, 5, (2, 3)), (2, 3, 7, 8)),
    "transposed, square": Case(lambda: nn.ConvTranspose2d(3, 3, 3), (2, 3, 7, 8)),
    "transposed 3d": Case(lambda: nn.ConvTranspose3d(3, 5, (1, 2, 3)), (2, 3, 4, 5, 6)),
    "layer norm": Case(lambda: nn.LayerNorm(6), (2, 6)),
    "RMS norm": Case(lambda: nn.RMSNorm(6, eps=1e-5), (2, 6)),
    "group norm": Case(lambda: nn.GroupNorm(2, 6), (2, 6, 4, 5)),
    "batch norm": Case(lambda: nn.BatchNorm2d(5), (2, 5, 4, 3)),
    "LSTM": Case(lambda: nn.LSTM(3, 4), (6, 2, 3)),
    "GRU": Case(lambda: nn.GRU(3, 4), (6, 2, 3)),
    "attention": Case(lambda: nn.MultiheadAttention(8, 2), (5, 1, 8), attended),
}


def made(case: Case, seed: int) -> Any:
    """Return a layer of torch with values of which no two parts are alike."""
    torch.manual_seed(seed)
    module = case.make()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                value.uniform_(0.5, 1.5) if "var" in name else value.uniform_(-1, 1)
    return module


def randomized(model: Any, seed: int) -> Any:
    """Return a model of any world with other values, of which variances are above zero."""
    random = np.random.default_rng(seed)
    state = {}
    for key, leaf in get_state_dict(model).items():
        array = np.asarray(to_numpy(leaf))
        if array.dtype.kind == "f":
            low = 0.5 if key.endswith(("var", ".1")) else -1.0
            state[key] = random.uniform(low, 1.5, array.shape).astype(array.dtype)
        else:
            state[key] = np.zeros_like(array)
    return with_state(model, state, strict=True)


def to_numpy(leaf: Any) -> Array:
    """Return the values of a leaf of any world."""
    from caten_sd.extend import Numpy, as_array

    return as_array(Numpy(), leaf)


@dataclass
class Crossing:
    """A layer of torch, one of another world, and how the other is run."""

    torch: Any
    other: Any
    case: Case
    run: Run

    def errors(self) -> Iterator[float]:
        """Yield by how much outputs differ, with torch's values in the other, and back."""
        x = np.random.default_rng(0).uniform(-1, 1, self.case.shape).astype("f4")
        there = between(self.torch, self.other)
        loaded = with_state(self.other, to_layout(get_state_dict(self.torch), there), strict=True)
        yield _gap(self.case.run(self.torch, x), self.run(loaded, x))
        back = between(self.other, self.torch)
        other = randomized(self.other, 7)
        given = with_state(self.torch, to_layout(get_state_dict(other), back), strict=True)
        yield _gap(self.run(other, x), self.case.run(given, x))

    def returned(self) -> bool:
        """Return whether the values of torch come back from the other world, bit for bit."""
        state = get_state_dict(self.torch)
        there, back = between(self.torch, self.other), between(self.other, self.torch)
        again = to_layout(to_layout(state, there), back)
        return again.keys() == state.keys() and all(
            to_numpy(again[key]).tobytes() == to_numpy(state[key]).tobytes() for key in state
        )


def _gap(one: Array, other: Array) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())

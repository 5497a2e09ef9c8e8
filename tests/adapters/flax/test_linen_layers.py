"""Layers of linen against those of torch, by the names of variables or by the modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, between, get_state_dict, to_layout, with_state
from tests.adapters.standard_layers import CASES, made, randomized

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

nn: Any = pytest.importorskip("flax.linen")
jax: Any = pytest.importorskip("jax")

pytestmark = pytest.mark.slow
KEY = jax.random.key(0)
VALID = {"padding": "VALID"}
LAST = ("convolution", "transposed", "group norm", "batch norm")  # whose channels are last
SERIES = ("LSTM", "GRU", "attention")

LAYERS = {
    "dense": [lambda: nn.Dense(5)],
    "dense, square": [lambda: nn.Dense(4)],
    "dense without bias": [lambda: nn.Dense(5, use_bias=False)],
    "convolution 1d": [lambda: nn.Conv(6, (3,), **VALID)],
    "convolution 2d": [lambda: nn.Conv(5, (2, 3), **VALID)],
    "convolution 3d": [lambda: nn.Conv(5, (1, 2, 3), **VALID)],
    "convolution, groups": [lambda: nn.Conv(6, (3, 3), feature_group_count=2, **VALID)],
    "convolution, square": [lambda: nn.Conv(3, (3, 3), **VALID)],
    "transposed 1d": [lambda: nn.ConvTranspose(6, (3,), **VALID)],
    "transposed 2d": [
        lambda: nn.ConvTranspose(5, (2, 3), **VALID),
        lambda: nn.ConvTranspose(5, (2, 3), transpose_kernel=True, **VALID),
    ],
    "transposed, square": [
        lambda: nn.ConvTranspose(3, (3, 3), **VALID),
        lambda: nn.ConvTranspose(3, (3, 3), transpose_kernel=True, **VALID),
    ],
    "transposed 3d": [lambda: nn.ConvTranspose(5, (1, 2, 3), **VALID)],
    "layer norm": [lambda: nn.LayerNorm(epsilon=1e-5)],
    "RMS norm": [lambda: nn.RMSNorm(epsilon=1e-5)],
    "group norm": [lambda: nn.GroupNorm(num_groups=2, epsilon=1e-5)],
    "batch norm": [lambda: nn.BatchNorm(use_running_average=True)],
    "LSTM": [lambda: nn.RNN(nn.LSTMCell(4)), lambda: nn.RNN(nn.OptimizedLSTMCell(4))],
    "GRU": [lambda: nn.RNN(nn.GRUCell(4))],
    "attention": [lambda: nn.MultiHeadDotProductAttention(2)],
}
SUMS = ("LSTM", "GRU")
NUMBERED = [(name, number) for name, ways in LAYERS.items() for number in range(len(ways))]
ALL = [(*each, by_modules) for each in NUMBERED for by_modules in (False, True)]


def turned(name: str, x: Any) -> Any:
    if name.startswith(LAST):
        return np.moveaxis(x, 1, -1)
    return x.swapaxes(0, 1) if name in SERIES else x


def back(name: str, x: Any) -> Any:
    if name.startswith(LAST):
        return np.moveaxis(np.asarray(x), -1, 1)
    return np.asarray(x).swapaxes(0, 1) if name in SERIES else np.asarray(x)


def inputs(name: str) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, CASES[name].shape).astype("f4")


class Linen:
    """A layer with its variables, known by the modules or by names alone."""

    def __init__(self, name: str, number: int, by_modules: bool) -> None:
        self.name, self.module = name, LAYERS[name][number]()
        given = turned(name, inputs(name))
        self.variables = jax.tree.map(jax.numpy.array, self.module.init(KEY, given))
        paths = self.module.module_paths(KEY, given)
        self.options = {"modules": paths} if by_modules else {}

    def run(self, variables: Any) -> Any:
        given = turned(self.name, inputs(self.name))
        return back(self.name, self.module.apply(variables, given))


@pytest.mark.parametrize(("name", "number", "by_modules"), ALL)
def test_outputs_are_equal_in_both_directions(name: str, number: int, by_modules: bool) -> None:
    layer, other, case = made(CASES[name], 1), Linen(name, number, by_modules), CASES[name]
    if name == "transposed, square" and not by_modules:
        with pytest.raises(LayoutError, match="two ways"):
            between(layer, other.variables)
        return
    there = between(layer, other.variables, **other.options)
    state = to_layout(get_state_dict(layer), there)
    loaded = with_state(other.variables, state, strict=True)
    x = inputs(name)
    assert np.abs(case.run(layer, x) - other.run(loaded)).max() < 1e-5

    variables = randomized(other.variables, 7)
    back_layout = between(variables, layer, **other.options)
    given = with_state(layer, to_layout(get_state_dict(variables), back_layout), strict=True)
    assert np.abs(case.run(given, x) - other.run(variables)).max() < 1e-5
    for layout, words in ((there, "are added"), (back_layout, "zeros are filled in")):
        assert any(words in note for note in layout.notes) == (name in SUMS)


def test_another_epsilon_is_said_where_the_module_says_it() -> None:
    module, norm = nn.LayerNorm(), made(CASES["layer norm"], 1)
    variables = module.init(KEY, np.ones((2, 6)))
    paths = module.module_paths(KEY, np.ones((2, 6)))
    (note,) = between(norm, variables, modules=paths).notes
    assert "1e-06" in note


def test_modules_of_another_model_are_refused() -> None:
    variables = nn.Dense(5).init(KEY, np.ones((2, 3)))
    paths = nn.BatchNorm(use_running_average=True).module_paths(KEY, np.ones((2, 3)))
    with pytest.raises(LayoutError, match="no module of modules="):
        between(made(CASES["dense"], 1), variables, modules=paths)

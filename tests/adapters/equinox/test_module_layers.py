"""Layers of Equinox against those of torch: equal outputs, whichever has the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, between, get_state_dict, to_layout, with_state
from tests.adapters.standard_layers import CASES, Crossing, made, ran

eqx: Any = pytest.importorskip("equinox", reason="Equinox is not installed")

jax: Any = pytest.importorskip("jax")

pytestmark = pytest.mark.slow
KEY = jax.random.key(0)


def each(model: Any, x: Any) -> Any:
    return np.asarray(jax.vmap(model)(x))


def normalized(model: Any, x: Any) -> Any:
    module, state = eqx.nn.inference_mode(model)
    return np.asarray(jax.vmap(lambda one: module(one, state)[0], axis_name="batch")(x))


def long_memory(cell: Any, x: Any) -> Any:
    """Run an LSTM on (time, batch, ...)."""

    def one(series: Any) -> Any:
        start = (jax.numpy.zeros(4), jax.numpy.zeros(4))
        outputs = []
        for step in series:
            start = cell(step, start)
            outputs.append(start[0])
        return jax.numpy.stack(outputs)

    return np.asarray(jax.vmap(one, 1, 1)(x))


def gated(cell: Any, x: Any) -> Any:
    def one(series: Any) -> Any:
        hidden, outputs = jax.numpy.zeros(4), []
        for step in series:
            hidden = cell(step, hidden)
            outputs.append(hidden)
        return jax.numpy.stack(outputs)

    return np.asarray(jax.vmap(one, 1, 1)(x))


def attended(model: Any, x: Any) -> Any:
    return np.asarray(jax.vmap(lambda one: model(one, one, one), 1, 1)(x))


def batch_norm(mode: str) -> Any:
    model, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(5, "batch", mode=mode)
    if mode == "ema":  # as after the first batch
        state = state.set(model.ema_first_time_index, jax.numpy.array(False))
    return model, state


nn = eqx.nn
BIASES = dict.fromkeys(
    ("use_query_bias", "use_key_bias", "use_value_bias", "use_output_bias"), True
)
LAYERS = {
    "dense": [(lambda: nn.Linear(3, 5, key=KEY), each)],
    "dense, square": [(lambda: nn.Linear(4, 4, key=KEY), each)],
    "dense without bias": [(lambda: nn.Linear(3, 5, use_bias=False, key=KEY), each)],
    "convolution 1d": [(lambda: nn.Conv1d(4, 6, 3, key=KEY), each)],
    "convolution 2d": [(lambda: nn.Conv2d(3, 5, (2, 3), key=KEY), each)],
    "convolution 3d": [(lambda: nn.Conv3d(3, 5, (1, 2, 3), key=KEY), each)],
    "convolution, groups": [(lambda: nn.Conv2d(4, 6, 3, groups=2, key=KEY), each)],
    "convolution, square": [(lambda: nn.Conv2d(3, 3, 3, key=KEY), each)],
    "transposed 1d": [(lambda: nn.ConvTranspose1d(4, 6, 3, key=KEY), each)],
    "transposed 2d": [(lambda: nn.ConvTranspose2d(3, 5, (2, 3), key=KEY), each)],
    "transposed, square": [(lambda: nn.ConvTranspose2d(3, 3, 3, key=KEY), each)],
    "transposed 3d": [(lambda: nn.ConvTranspose3d(3, 5, (1, 2, 3), key=KEY), each)],
    "layer norm": [(lambda: nn.LayerNorm(6), each)],
    "RMS norm": [(lambda: nn.RMSNorm(6, use_bias=False), each)],
    "group norm": [(lambda: nn.GroupNorm(2, 6), each)],
    "batch norm": [
        (lambda: batch_norm("batch"), normalized),
        (lambda: batch_norm("ema"), normalized),
    ],
    "LSTM": [(lambda: nn.LSTMCell(3, 4, key=KEY), long_memory)],
    "GRU": [(lambda: nn.GRUCell(3, 4, key=KEY), gated)],
    "attention": [(lambda: nn.MultiheadAttention(2, 8, **BIASES, key=KEY), attended)],
}
SUMS = ("LSTM", "GRU")
SAID = ("LSTM", "GRU", "batch norm")
NUMBERED = [(name, number) for name, ways in LAYERS.items() for number in range(len(ways))]


def crossing(name: str, number: int) -> Crossing:
    make, run = LAYERS[name][number]
    return Crossing(made(CASES[name], 1), make(), CASES[name], run)


def test_every_layer_is_run() -> None:
    assert LAYERS.keys() == CASES.keys()


@pytest.mark.parametrize(("name", "number"), NUMBERED)
def test_outputs_are_equal_in_both_directions(name: str, number: int) -> None:
    assert max(crossing(name, number).errors()) < 1e-5


@pytest.mark.parametrize(("name", "number"), NUMBERED)
def test_all_but_sums_return_the_same_bytes_and_sums_are_said(name: str, number: int) -> None:
    pair = crossing(name, number)
    there, back = between(pair.torch, pair.other), between(pair.other, pair.torch)
    assert bool(there.notes) == bool(back.notes) == (name in SAID)
    if name in SUMS:
        assert any("are added" in note for note in there.notes)
        assert any("zeros are filled in" in note for note in back.notes)
    else:
        assert pair.returned()


def test_grouped_transposed_convolutions_swap_within_groups() -> None:
    import torch

    layer = torch.nn.ConvTranspose2d(4, 6, 3, groups=2)
    other = nn.ConvTranspose2d(4, 6, 3, groups=2, key=KEY)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 6)).astype("f4")
    loaded = with_state(other, to_layout(get_state_dict(layer), between(layer, other)))
    assert np.abs(ran(layer, x) - each(loaded, x)).max() < 1e-5


def test_statistics_that_are_to_be_corrected_are_corrected() -> None:
    import torch

    model, state = batch_norm("batch")
    x = np.random.default_rng(0).uniform(-1, 3, (8, 5, 4)).astype("f4")
    for _ in range(2):
        _, state = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(
            x, state
        )
    layer = torch.nn.BatchNorm1d(5)
    given = with_state(
        layer,
        to_layout(get_state_dict((model, state)), between((model, state), layer)),
        strict=True,
    )
    assert np.abs(ran(given, x) - normalized((model, state), x)).max() < 1e-5


def test_statistics_of_no_batch_are_refused() -> None:
    import torch

    model = nn.make_with_state(nn.BatchNorm)(5, "batch", mode="ema")
    layer = torch.nn.BatchNorm1d(5)
    with pytest.raises(LayoutError, match="seen no batch"):
        to_layout(get_state_dict(model), between(model, layer))

"""Layers of NNX against those of torch: equal outputs, whichever has the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, between, get_state_dict, to_layout
from caten_sd.loading.owners import hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from tests.adapters.standard_layers import CASES, Crossing, made

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

from flax import nnx

pytestmark = pytest.mark.slow
R = nnx.Rngs
KERNEL = {"strides": 1, "padding": "VALID"}


def last(model: Any, x: Any) -> Any:
    """Run on channels first."""
    output = model(np.moveaxis(x, 1, -1))
    return np.moveaxis(np.asarray(output), -1, 1)


def plainly(model: Any, x: Any) -> Any:
    return np.asarray(model(x))


def in_batches(model: Any, x: Any) -> Any:
    """Run on (time, batch, ...)."""
    return np.asarray(model(x.swapaxes(0, 1))).swapaxes(0, 1)


def averaged(model: Any, x: Any) -> Any:
    model.use_running_average = True
    return last(model, x)


def attended(model: Any, x: Any) -> Any:
    return np.asarray(model(x.swapaxes(0, 1), decode=False)).swapaxes(0, 1)


def conv(a: int, b: int, size: tuple[int, ...], **options: Any) -> Any:
    return nnx.Conv(a, b, size, **KERNEL, rngs=R(0), **options)


def transposed(a: int, b: int, size: tuple[int, ...], **options: Any) -> Any:
    return nnx.ConvTranspose(a, b, size, **KERNEL, rngs=R(0), **options)


def turned(a: int, b: int, size: tuple[int, ...]) -> Any:
    return transposed(a, b, size, transpose_kernel=True)


def general(inputs: Any, outputs: Any) -> Any:
    return nnx.LinearGeneral(inputs, outputs, rngs=R(0))


LAYERS = {
    "dense": [(lambda: nnx.Linear(3, 5, rngs=R(0)), plainly), (lambda: general(3, 5), plainly)],
    "dense, square": [(lambda: nnx.Linear(4, 4, rngs=R(0)), plainly)],
    "dense without bias": [(lambda: nnx.Linear(3, 5, use_bias=False, rngs=R(0)), plainly)],
    "convolution 1d": [(lambda: conv(4, 6, (3,)), last)],
    "convolution 2d": [(lambda: conv(3, 5, (2, 3)), last)],
    "convolution 3d": [(lambda: conv(3, 5, (1, 2, 3)), last)],
    "convolution, groups": [(lambda: conv(4, 6, (3, 3), feature_group_count=2), last)],
    "convolution, square": [(lambda: conv(3, 3, (3, 3)), last)],
    "transposed 1d": [(lambda: transposed(4, 6, (3,)), last), (lambda: turned(4, 6, (3,)), last)],
    "transposed 2d": [
        (lambda: transposed(3, 5, (2, 3)), last),
        (lambda: turned(3, 5, (2, 3)), last),
    ],
    "transposed, square": [
        (lambda: transposed(3, 3, (3, 3)), last),
        (lambda: turned(3, 3, (3, 3)), last),
    ],
    "transposed 3d": [(lambda: transposed(3, 5, (1, 2, 3)), last)],
    "layer norm": [(lambda: nnx.LayerNorm(6, epsilon=1e-5, rngs=R(0)), plainly)],
    "RMS norm": [(lambda: nnx.RMSNorm(6, epsilon=1e-5, rngs=R(0)), plainly)],
    "group norm": [(lambda: nnx.GroupNorm(6, num_groups=2, epsilon=1e-5, rngs=R(0)), last)],
    "batch norm": [(lambda: nnx.BatchNorm(5, rngs=R(0)), averaged)],
    "LSTM": [
        (lambda: nnx.RNN(nnx.LSTMCell(3, 4, rngs=R(0))), in_batches),
        (lambda: nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=R(0))), in_batches),
    ],
    "GRU": [(lambda: nnx.RNN(nnx.GRUCell(3, 4, rngs=R(0))), in_batches)],
    "attention": [(lambda: nnx.MultiHeadAttention(2, 8, rngs=R(0)), attended)],
}
SUMS = ("LSTM", "GRU")
NUMBERED = [(name, number) for name, ways in LAYERS.items() for number in range(len(ways))]


def crossing(name: str, number: int) -> Crossing:
    make, run = LAYERS[name][number]
    layer = made(CASES[name], 1)
    if name == "GRU":  # NNX has no bias for the new gate in the hidden state
        layer.bias_hh_l0.data[8:] = 0
    return Crossing(layer, make(), CASES[name], run)


def test_every_layer_is_run() -> None:
    assert LAYERS.keys() == CASES.keys()


@pytest.mark.parametrize(("name", "number"), NUMBERED)
def test_outputs_are_equal_in_both_directions(name: str, number: int) -> None:
    assert max(crossing(name, number).errors()) < 1e-5


@pytest.mark.parametrize(("name", "number"), NUMBERED)
def test_all_but_sums_return_the_same_bytes_and_sums_are_said(name: str, number: int) -> None:
    pair = crossing(name, number)
    there, back = between(pair.torch, pair.other), between(pair.other, pair.torch)
    if name in SUMS:
        assert any("are added" in note for note in there.notes)
        assert any("zeros are filled in" in note for note in back.notes)
    else:
        assert pair.returned()
        assert len(there.notes) == len(back.notes) == (name == "batch norm")


def test_a_bias_that_nnx_has_no_place_for_is_refused() -> None:
    make, _ = LAYERS["GRU"][0]
    layer = made(CASES["GRU"], 1)
    with pytest.raises(LayoutError, match=r"bias_hh_l0.*not 0 throughout"):
        to_layout(get_state_dict(layer), between(layer, make()))


def test_another_epsilon_is_said() -> None:
    norm = nnx.LayerNorm(6, rngs=R(0))
    (note,) = between(made(CASES["layer norm"], 1), norm).notes
    assert "1e-05" in note
    assert "1e-06" in note


def test_a_bias_that_one_side_lacks_is_zeros_or_refused() -> None:
    without, with_bias = made(CASES["dense without bias"], 1), nnx.Linear(3, 5, rngs=R(0))
    layout = between(without, with_bias)
    made_bias = to_layout(get_state_dict(without), layout)["bias"]
    assert not np.asarray(made_bias).any()
    assert "bias is filled with 0" in layout.notes[0]
    to_layout(get_state_dict(with_bias), between(with_bias, without))  # its bias is zeros
    with_bias.bias.set_value(np.ones(5, "f4"))
    with pytest.raises(LayoutError, match="bias is not 0 throughout"):
        to_layout(get_state_dict(with_bias), between(with_bias, without))


def test_what_a_class_says_of_itself_comes_before_the_class_that_it_inherits() -> None:
    class Saying(nnx.Linear):  # type: ignore[misc]
        def __layers__(self) -> tuple[StandardLayer, ...]:
            return (StandardLayer("embedding", ()),)

    module = Saying(2, 3, rngs=nnx.Rngs(0))
    assert [each.kind for each in hooks_of(module).layers()] == ["embedding"]

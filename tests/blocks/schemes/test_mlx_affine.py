"""MLX's affine mode: a stream of bits along each row, with a scale and a bias a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict
from tests.blocks.schemes.test_gptq import stream


def packed(bits: int, group: int) -> tuple[StateDict, np.ndarray]:
    random = np.random.default_rng(bits)
    numbers = random.integers(0, 1 << bits, (6, 128))
    scales, biases = random.random((2, 6, 128 // group)).astype("f4")
    values = scales.repeat(group, 1) * numbers.astype("f4") + biases.repeat(group, 1)
    rows = np.stack([stream(row, bits) for row in numbers]).view("u4")
    state = StateDict({"fc.weight": rows, "fc.scales": scales, "fc.biases": biases})
    state.config = {"quantization": {"bits": bits, "group_size": group}}
    return state, values


@pytest.mark.parametrize("group", [32, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_all_bits_give_the_published_formula(bits: int, group: int) -> None:
    state, values = packed(bits, group)
    leaf = to_floats(state)["fc.weight"]
    assert np.array_equal(leaf.numpy(), values)
    assert np.array_equal(leaf[2:5, 60:70].numpy(), values[2:5, 60:70])
    expected = f"quantized: mlx, {bits} bits, groups of {group}; 1 weight"
    assert quantization_notes(state) == [expected]


def test_a_layer_may_have_bits_of_its_own() -> None:
    state, values = packed(8, 32)
    state.config = {"quantization": {"bits": 4, "group_size": 64, "fc": {"bits": 8}}}
    with pytest.raises(StateDictError, match=r"8 bits in groups of 32.*8 bits in groups of 64"):
        to_floats(state)
    state.config["quantization"]["fc"]["group_size"] = 32
    assert np.array_equal(to_floats(state)["fc.weight"], values)


@pytest.mark.parametrize("config", [None, {}, {"quantization": {"mode": "affine"}}])
def test_bits_that_nothing_tells_are_not_guessed(config: Any) -> None:
    state, _ = packed(8, 32)
    state.config = config
    with pytest.raises(StateDictError, match=r"fc\.weight.*4 bits in groups of 64.*config\.json"):
        to_floats(state)
    assert "config.json" in quantization_notes(state)[0]


def test_one_row_without_an_axis_of_rows_is_not_of_mlx() -> None:
    """MLX packs at least two axes, and rows are what is cut out."""
    row = {"fc.weight": np.zeros(8, "u4"), "fc.scales": np.ones(1), "fc.biases": np.ones(1)}
    with pytest.raises(StateDictError, match=r"no scheme.*fc\.weight"):
        to_floats(StateDict(row, config={"quantization": {"bits": 4, "group_size": 64}}))


@pytest.mark.slow
@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_mlx_gives_the_same_values(bits: int, group: int) -> None:
    mx = pytest.importorskip("mlx.core", reason="it is the oracle")
    given = mx.array(np.random.default_rng(0).normal(size=(96, 256)).astype("f4"))
    tensors = mx.quantize(given, group_size=group, bits=bits)
    expected = np.array(mx.dequantize(*tensors, group_size=group, bits=bits))
    names = ("fc.weight", "fc.scales", "fc.biases")
    state = StateDict({name: np.array(each) for name, each in zip(names, tensors, strict=True)})
    state.config = {"quantization": {"bits": bits, "group_size": group}}
    assert np.array_equal(to_floats(state)["fc.weight"].numpy(), expected)

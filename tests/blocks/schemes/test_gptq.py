"""GPTQ as AutoGPTQ packs it: a stream of bits down each column, and zero points less one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

INPUTS, OUTPUTS, GROUP = 64, 32, 16


def stream(numbers: Any, bits: int) -> np.ndarray:
    """Return the words of 32 bits that hold numbers one after the other, by Python's integers."""
    whole = sum(int(number) << (bits * place) for place, number in enumerate(numbers))
    return np.frombuffer(whole.to_bytes(len(numbers) * bits // 8, "little"), "<i4")


def packed(bits: int, *, less_one: bool = True) -> tuple[dict[str, Any], np.ndarray]:
    """Return the tensors of a random weight, with shuffled groups, and its float32 values."""
    random = np.random.default_rng(bits)
    numbers = random.integers(0, 1 << bits, (INPUTS, OUTPUTS))
    zeros = random.integers(1, 1 << bits, (INPUTS // GROUP, OUTPUTS))
    scales = random.random((INPUTS // GROUP, OUTPUTS)).astype("f2")
    groups = random.permutation(np.arange(INPUTS) // GROUP).astype("i4")
    values = scales.astype("f4")[groups] * (numbers - zeros[groups]).astype("f4")
    tensors = {
        "fc.qweight": np.stack([stream(column, bits) for column in numbers.T], 1),
        "fc.qzeros": np.stack([stream(row - less_one, bits) for row in zeros]),
        "fc.scales": scales,
        "fc.g_idx": groups,
    }
    return tensors, values.T


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_all_bits_give_the_published_formula(bits: int) -> None:
    tensors, values = packed(bits)
    leaf = to_floats({**tensors, "fc.bias": np.ones(3)})["fc.weight"]
    assert np.array_equal(leaf.numpy(), values)
    assert quantization_notes(StateDict(tensors)) == [
        f"quantized: gptq, {bits} bits, groups of 16; 1 weight"
    ]
    assert np.array_equal(leaf[9:32:3, 5].numpy(), values[9:32:3, 5])


def test_without_g_idx_the_groups_are_in_order() -> None:
    tensors, _ = packed(4)
    ordered = {**tensors, "fc.g_idx": (np.arange(INPUTS) // GROUP).astype("i4")}
    left = {key: leaf for key, leaf in ordered.items() if key != "fc.g_idx"}
    assert np.array_equal(to_floats(left)["fc.weight"], to_floats(ordered)["fc.weight"])


def test_the_second_version_has_the_zero_points_themselves() -> None:
    tensors, values = packed(4, less_one=False)
    state = StateDict(tensors)
    state.config = {"quantization_config": {"checkpoint_format": "gptq_v2", "bits": 4}}
    assert np.array_equal(to_floats(state)["fc.weight"], values)


@pytest.mark.parametrize(("name", "stated", "found"), [("bits", 8, 4), ("group_size", 128, 16)])
def test_a_config_that_contradicts_the_shapes_is_named(name: str, stated: int, found: int) -> None:
    state = StateDict(packed(4)[0])
    state.config = {"quantization_config": {"quant_method": "gptq", name: stated}}
    with pytest.raises(StateDictError, match=rf"fc.qweight.*{name} {found}.*states {stated}"):
        to_floats(state)
    assert f"states {stated}" in quantization_notes(state)[0]


def test_a_group_that_is_not_there_is_refused() -> None:
    tensors, _ = packed(4)
    leaf = to_floats({**tensors, "fc.g_idx": np.full(INPUTS, -1, "i4")})["fc.weight"]
    with pytest.raises(StateDictError, match=r"g_idx.*-1.*4"):
        leaf.numpy()

"""LLM.int8() of bitsandbytes: rows of signed bytes with their largest value."""

from __future__ import annotations

import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict


def test_a_byte_of_127_is_the_largest_value_of_its_row() -> None:
    weight = np.array([[127, -127, 0], [64, 1, 2]], "i1")
    largest = np.array([0.5, 3], "f4")
    tensors = {"fc.weight": weight, "fc.SCB": largest, "fc.weight_format": np.array(0, "u1")}
    leaf = to_floats(tensors)["fc.weight"]
    assert np.allclose(leaf.numpy(), weight * largest[:, None] / 127, rtol=1e-6)
    assert leaf[1:, 1:].numpy().tolist() == leaf.numpy()[1:, 1:].tolist()
    notes = quantization_notes(StateDict(tensors))
    assert notes == ["quantized: bitsandbytes, 8 bits, a scale for each row; 1 weight"]


def test_tiles_of_a_gpu_are_refused() -> None:
    tensors = {"fc.weight": np.ones((2, 2), "i1"), "fc.SCB": np.ones(2, "f4")}
    with pytest.raises(StateDictError, match=r"fc\.weight.*weight_format is 2.*save it again"):
        to_floats({**tensors, "fc.weight_format": np.array(2, "u1")})


@pytest.mark.slow
def test_bitsandbytes_gives_the_same_values() -> None:
    functional = pytest.importorskip("bitsandbytes.functional", reason="it is the oracle")
    torch = pytest.importorskip("torch")
    weight, largest, _ = functional.int8_vectorwise_quant(torch.randn(96, 256).half())
    expected = functional.int8_vectorwise_dequant(weight, largest).numpy()
    found = to_floats({"fc.weight": weight, "fc.SCB": largest})["fc.weight"]
    assert np.array_equal(found.numpy(), expected)

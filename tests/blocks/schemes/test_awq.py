"""AWQ as AutoAWQ packs it: eight outputs in a word, in an order of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

ORDER_MAP = (0, 2, 4, 6, 1, 3, 5, 7)  # of WQLinear_GEMM.from_linear: the output at each place
INPUTS, OUTPUTS, GROUP = 64, 24, 32


def words(numbers: np.ndarray) -> np.ndarray:
    found = np.zeros((len(numbers), OUTPUTS // 8), np.int64)
    for place, output in enumerate(ORDER_MAP):
        found |= numbers[:, output::8] << (4 * place)
    return found.astype("u4").view("i4")


def packed() -> tuple[dict[str, Any], np.ndarray]:
    random = np.random.default_rng(0)
    numbers, zeros = (random.integers(0, 16, (n, OUTPUTS)) for n in (INPUTS, INPUTS // GROUP))
    scales = random.random(zeros.shape).astype("f2")
    values = (numbers - zeros.repeat(GROUP, 0)) * scales.astype("f4").repeat(GROUP, 0)
    tensors = {"fc.qweight": words(numbers), "fc.qzeros": words(zeros), "fc.scales": scales}
    return tensors, values.T.astype("f4")


def test_the_values_are_those_of_the_formula() -> None:
    tensors, values = packed()
    state = StateDict(tensors)
    state.config = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32}}
    floats = to_floats(state)
    assert list(floats) == ["fc.weight"]
    assert np.array_equal(floats["fc.weight"], values)
    assert np.array_equal(floats["fc.weight"][9:23, 1].numpy(), values[9:23, 1])
    assert quantization_notes(state) == ["quantized: awq, 4 bits, groups of 32; 1 weight"]
    assert "quantization_config" not in floats.config
    assert "quantization_config" in state.config


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        ({"version": "gemv"}, "gemv.*gemm"),
        ({"quant_method": "gptq"}, "awq.*gptq"),
        ({"w_bit": 8}, "bits 4.*states 8"),
        ({"q_group_size": 128}, "group_size 32.*states 128"),
    ],
)
def test_a_config_of_another_packing_is_refused(stated: dict[str, Any], match: str) -> None:
    state = StateDict(packed()[0])
    state.config = {"quantization_config": stated}
    with pytest.raises(StateDictError, match=match):
        to_floats(state)

"""MLX's modes of small floats; the expected values come from ``mlx.core.dequantize``."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

MODES = {"mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32)}
NIBBLES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], "f4")


def packed(mode: str) -> tuple[StateDict, np.ndarray]:
    bits, group = MODES[mode]
    random = np.random.default_rng(0)
    numbers = random.integers(0, 1 << bits, (6, 128)).astype("u1")
    numbers[numbers & 0x7F == 0x7F] = 0  # not a number in mxfp8
    scales = random.integers(110, 120, (6, 128 // group)).astype("u1")
    raw = numbers if bits == 8 else numbers[:, ::2] | numbers[:, 1::2] << 4
    values = numbers.view(ml_dtypes.float8_e4m3fn).astype("f4") if bits == 8 else NIBBLES[numbers]
    steps = np.exp2(scales.astype("f4") - 127)
    if mode == "nvfp4":
        steps = scales.view(ml_dtypes.float8_e4m3fn).astype("f4")
    state = StateDict({"fc.weight": raw.copy().view("u4"), "fc.scales": scales})
    return state, values * steps.repeat(group, 1)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_is_told_by_its_shapes(mode: str) -> None:
    state, values = packed(mode)
    bits, group = MODES[mode]
    found = to_floats(state)
    assert list(found) == ["fc.weight"]
    assert np.array_equal(found["fc.weight"].numpy(), values)
    assert np.array_equal(found["fc.weight"][2:5, 60:70].numpy(), values[2:5, 60:70])
    expected = f"quantized: mlx, {bits} bits, groups of {group} in {mode}; 1 weight"
    assert quantization_notes(state) == [expected]


def test_another_mode_in_config_json_and_shapes_of_none_are_refused() -> None:
    state, _ = packed("mxfp4")
    state.config = {"quantization": {"mode": "nvfp4", "bits": 4, "group_size": 16}}
    with pytest.raises(StateDictError, match=r"mode mxfp4 by its shapes.*states the mode 'nvfp4'"):
        to_floats(state)
    odd = {"fc.weight": np.zeros((6, 12), "u4"), "fc.scales": np.ones((6, 4), "u1")}
    with pytest.raises(StateDictError, match=r"no scheme.*fc\.weight"):
        to_floats(StateDict(odd))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_mlx_gives_the_same_values(mode: str) -> None:
    mx = pytest.importorskip("mlx.core", reason="it is the oracle")
    given = mx.array(np.random.default_rng(0).normal(size=(3, 96, 256)).astype("f4"))
    weight, scales = mx.quantize(given, mode=mode)
    expected = np.array(mx.dequantize(weight, scales, mode=mode, dtype=mx.float32))
    state = StateDict({"fc.weight": np.array(weight), "fc.scales": np.array(scales)})
    assert np.array_equal(to_floats(state)["fc.weight"].numpy(), expected)

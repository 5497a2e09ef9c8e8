"""NVFP4 as ModelOpt and compressed-tensors write it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

GROUP = 16
NAMES = [("weight", "weight_scale_2"), ("weight_packed", "weight_global_scale")]


def packed(
    weight: str, outer: str, counts: tuple[int, ...] = (5, 3), each: tuple[int, ...] = (1,)
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Return the tensors of random values with so many scales, and the float32 values."""
    random = np.random.default_rng(4)
    numbers = random.integers(0, 16, (*counts, GROUP)).astype("u1")
    scales = (random.random(counts) * 400).astype(ml_dtypes.float8_e4m3fn)
    factor = random.integers(1, 9, each).astype("f4")
    values = numbers.view(ml_dtypes.float4_e2m1fn).astype("f4")
    whole = factor.reshape(-1, *(1,) * (len(counts) - 1)) if factor.size > 1 else factor.reshape(())
    full = scales.astype("f4")
    values *= (full / whole if "global" in outer else full * whole)[..., None]
    raw = (numbers[..., ::2] | numbers[..., 1::2] << 4).reshape(*counts[:-1], -1)
    tensors = {f"fc.{weight}": raw, "fc.weight_scale": scales, f"fc.{outer}": factor}
    return tensors, values.reshape(*counts[:-1], -1)


@pytest.mark.parametrize(("weight", "outer"), NAMES)
@pytest.mark.parametrize(
    ("counts", "each"), [((5, 3), ()), ((5, 3), (1,)), ((4, 5, 3), (4,)), ((4, 5, 3), (4, 1))]
)
def test_both_scales_are_in_the_values(
    weight: str, outer: str, counts: tuple[int, ...], each: tuple[int, ...]
) -> None:
    tensors, values = packed(weight, outer, counts, each)
    given = {
        **tensors,
        "fc.input_scale": np.ones(1, "f4"),
        "fc.input_global_scale": np.ones(1, "f4"),
    }
    floats = to_floats(given)
    assert list(floats) == ["fc.weight"]
    assert np.array_equal(floats["fc.weight"].numpy(), values)
    assert np.array_equal(floats["fc.weight"][2:4].numpy(), values[2:4])
    config = {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}
    assert quantization_notes(StateDict(tensors, config=config)) == [
        "quantized: nvfp4, 4 bits, groups of 16; 1 weight"
    ]


@pytest.mark.parametrize(
    ("key", "leaf"),
    [
        ("fc.weight_scale", np.ones((5, 2), ml_dtypes.float8_e4m3fn)),
        ("fc.weight_scale", np.ones((15,), ml_dtypes.float8_e4m3fn)),
        ("fc.weight_scale_2", np.ones(5, "f4")),
        ("fc.weight_scale_2", np.ones(1, "i4")),
    ],
)
def test_scales_that_do_not_fit_are_named(key: str, leaf: Any) -> None:
    tensors, _ = packed(*NAMES[0])
    with pytest.raises(StateDictError, match=r"fc\.weight and .*\[5, 24\]"):
        to_floats({**tensors, key: leaf})


def test_a_weight_whose_inputs_were_scaled_is_not_taken_for_a_plain_one() -> None:
    tensors, _ = packed(*NAMES[0])
    with pytest.raises(StateDictError, match=r"fc\.weight; .*tool that packed"):
        to_floats({**tensors, "fc.pre_quant_scale": np.ones(48, "f4")})

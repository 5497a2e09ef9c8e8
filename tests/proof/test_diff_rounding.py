"""What counts as rounded: what torch and the library of llama.cpp make of values, and no more."""

from typing import Any

import gguf
import numpy as np
import pytest
import torch

from caten_sd.blocks.block_types import block_type
from caten_sd.proof.diff_rounding import rounding_between
from caten_sd.proof.likeness import Likeness, judged
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DTYPES

FLOATS = ["float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"]
QUANTIZED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4"]


def values(seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((8, 512), dtype="f4")


@pytest.mark.parametrize("wide", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("narrow", FLOATS)
def test_a_cast_of_torch_is_within_the_rounding(wide: str, narrow: str) -> None:
    a = torch.from_numpy(values(0) * 3).to(getattr(torch, wide))
    b = a.to(getattr(torch, narrow))
    kinds = {Likeness.BYTES, Likeness.VALUES, Likeness.ROUNDED}
    assert judged(a, b).likeness in kinds
    assert judged(b, a).likeness in kinds


def test_a_cast_that_cuts_the_mantissa_off_is_within_the_rounding() -> None:
    a = values(0)
    cut = (a.view("u4") & 0xFFFF0000).view("f4")
    assert judged(a, torch.from_numpy(cut).bfloat16()).likeness is Likeness.ROUNDED


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_step_more_than_the_rounding_is_a_change(dtype: str) -> None:
    a = torch.from_numpy(values(0))
    a[3, 5] = 1.0
    b = a.to(getattr(torch, dtype))
    b[3, 5] = 1.02
    found = judged(a, b)
    assert found.likeness is Likeness.CHANGED
    assert found.change is not None
    assert found.change.largest == pytest.approx(0.02, rel=0.2)


def test_an_overflow_and_a_nan_are_changes() -> None:
    a = torch.tensor([1.0, 1e6, 2.0])
    assert judged(a, a.half()).likeness is Likeness.CHANGED
    b = a.bfloat16()
    b[0] = float("nan")
    found = judged(a, b)
    assert (found.likeness, found.change and found.change.nan_b) == (Likeness.CHANGED, 1)


def packed(name: str, array: Any) -> BlockTensor:
    raw = gguf.quantize(array, gguf.GGMLQuantizationType[name])
    return BlockTensor(block_type(name), raw, array.shape)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("name", QUANTIZED)
def test_blocks_of_gguf_are_within_a_step_and_those_of_other_weights_are_not(
    name: str, scale: float
) -> None:
    a, b = values(0) * scale, packed(name, values(0) * scale)
    assert judged(a, b).likeness is Likeness.ROUNDED
    assert judged(b, a).likeness is Likeness.ROUNDED
    assert judged(values(1) * scale, b).likeness is Likeness.CHANGED


@pytest.mark.parametrize("name", ["Q8_0", "Q5_1", "Q4_0"])
def test_one_element_that_is_off_by_two_steps_is_a_change(name: str) -> None:
    a = values(0)
    b = packed(name, a)
    a[2, 40] += 2.5 * np.abs(a[2, 32:64]).max() / (8 if name == "Q4_0" else 16)
    assert judged(a, b).likeness is Likeness.CHANGED


def test_two_block_types_have_the_steps_of_both() -> None:
    a = values(0)
    assert judged(packed("Q8_0", a), packed("Q4_0", a)).likeness is Likeness.ROUNDED


def test_integers_have_no_rounding() -> None:
    assert rounding_between(DTYPES["int64"], DTYPES["int32"]) is None
    assert judged(np.arange(4), np.arange(4, dtype="i2")).likeness is Likeness.VALUES

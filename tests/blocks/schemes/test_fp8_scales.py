"""Floats of 8 bits with scales, as DeepSeek's weight_dequant and transformers compute them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.state_dict import StateDict

CASES = {  # the shape, that of the scales, and what has one
    "squares": ((256, 384), (2, 3), (128, 128)),
    "cut off": ((192, 130), (2, 2), (128, 128)),
    "even": ((96, 60), (3, 2), (32, 30)),
    "experts": ((3, 256, 128), (3, 2, 1), (1, 128, 128)),
    "rows": ((9, 5), (9, 1), (1, 5)),
    "rows without an axis": ((9, 5), (9,), (1, 5)),
    "tensor": ((9, 5), (), (9, 5)),
    "tensor of one": ((9, 5), (1, 1), (9, 5)),
}


@pytest.mark.parametrize("role", ["weight_scale_inv", "weight_scale"])
@pytest.mark.parametrize("name", CASES)
def test_each_value_is_its_number_times_the_scale_of_its_place(name: str, role: str) -> None:
    shape, count, sides = CASES[name]
    random = np.random.default_rng(1)
    weight = random.normal(size=shape).astype(ml_dtypes.float8_e4m3fn)
    scales = random.random(count).astype("f4")
    full = scales.reshape(count if len(count) == len(shape) else (*count, 1)[: len(shape)])
    expected = weight.astype("f4")
    for index in np.ndindex(*shape):
        at = tuple(n // side for n, side in zip(index, sides, strict=True))
        expected[index] *= full[at] if full.ndim == len(shape) else full.reshape(-1)[0]
    leaf = to_floats({"fc.weight": weight, f"fc.{role}": scales})["fc.weight"]
    assert np.array_equal(leaf.numpy(), expected)
    box = tuple(slice(1, 1 + n // 2) for n in shape)
    assert np.array_equal(leaf[box].numpy(), expected[box])


def test_the_sides_that_config_json_states_come_first() -> None:
    weight = np.ones((192, 64), ml_dtypes.float8_e4m3fn)
    scales = np.array([[1], [2]], "f4")
    state = StateDict({"w": weight, "w_scale_inv": scales})
    assert (to_floats(state)["w"].numpy()[:, 0] == 1).sum() == 128
    state.config = {"quantization_config": {"weight_block_size": [96, 64]}}
    assert (to_floats(state)["w"].numpy()[:, 0] == 1).sum() == 96
    assert quantization_notes(state) == ["quantized: fp8, 8 bits, blocks of 96x64; 1 weight"]
    groups = {"group_0": {"weights": {"block_structure": "96x64"}}}  # as its library had it
    state.config = {"quantization_config": {"config_groups": groups}}
    assert (to_floats(state)["w"].numpy()[:, 0] == 1).sum() == 96


@pytest.mark.parametrize("count", [(5, 3), (2, 2, 2), (0,)])
def test_scales_that_fit_no_blocks_are_not_guessed_at(count: tuple[int, ...]) -> None:
    weight = np.ones((256, 384), ml_dtypes.float8_e4m3fn)
    with pytest.raises(StateDictError, match=r"fc\.weight.*tool that packed"):
        to_floats({"fc.weight": weight, "fc.weight_scale_inv": np.ones(count, "f4")})


@pytest.mark.parametrize(
    ("one", "other"),
    [("weight_scale", "weight_scale_inv"), ("weight_scale_inv", "scales"), ("SCB", "weight_scale")],
)
def test_scales_that_are_there_twice_are_refused_by_both_keys(one: str, other: str) -> None:
    weight, scales = np.ones((256, 384), ml_dtypes.float8_e4m3fn), np.ones((2, 3), "f4")
    state = {"fc.weight": weight, f"fc.{one}": scales, f"fc.{other}": scales * 2}
    with pytest.raises(StateDictError, match=r"fc\.weight has its scales twice") as caught:
        to_floats(state)
    assert f"in fc.{one} and in fc.{other}," in str(caught.value)
    assert "twice" in quantization_notes(StateDict(state))[0]


@pytest.mark.parametrize("stated", [[64, 64], [128, 96], [0, 128], [256, 128]])
def test_scales_that_are_not_of_the_stated_blocks_are_refused(stated: list[int]) -> None:
    weight, scales = np.ones((256, 384), ml_dtypes.float8_e4m3fn), np.ones((2, 3), "f4")
    state = StateDict({"fc.weight": weight, "fc.weight_scale_inv": scales})
    state.config = {"quantization_config": {"weight_block_size": stated}}
    with pytest.raises(
        StateDictError, match=r"fc\.weight_scale_inv is \[2, 3\] .*\[256, 384\]"
    ) as e:
        to_floats(state)
    assert f"weight_block_size of the config.json is {stated}" in str(e.value)


@pytest.mark.parametrize("count", [(), (1, 1), (256, 1), (256,), (2, 3)])
def test_scales_that_mean_the_same_in_any_blocks_are_taken(count: tuple[int, ...]) -> None:
    weight, scales = np.ones((256, 384), ml_dtypes.float8_e4m3fn), np.full(count, 2, "f4")
    state = StateDict({"fc.weight": weight, "fc.weight_scale": scales})
    state.config = {"quantization_config": {"weight_block_size": [128, 128]}}
    assert (to_floats(state)["fc.weight"].numpy() == 2).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squares", "even", "experts", "rows", "tensor of one"])
def test_transformers_gives_the_same_values(name: str) -> None:
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("transformers.integrations.finegrained_fp8")
    shape, count, _ = CASES[name]
    weight, scales = torch.randn(shape).to(torch.float8_e4m3fn), torch.rand(count)
    own = module.Fp8Dequantize(None)
    pairs = zip(weight, scales, strict=True) if len(shape) == 3 else [(weight, scales)]
    expected = torch.stack([own._dequantize_one(*pair, torch.float32) for pair in pairs])
    found = to_floats({"fc.weight": weight, "fc.weight_scale_inv": scales})["fc.weight"].numpy()
    assert np.array_equal(found, expected.reshape(shape).numpy())

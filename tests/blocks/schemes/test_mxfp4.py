"""MXFP4 in the names of transformers, OpenAI and compressed-tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from caten_sd import read_state_dict, write_state_dict
from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import StateDictError
from caten_sd.state.parts import parts
from caten_sd.state.state_dict import StateDict

GROUP = 32


def packed(
    weight: str, scale: str, counts: tuple[int, ...]
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Return the tensors of random values with so many scales, and the float32 values in order."""
    random = np.random.default_rng(3)
    numbers = random.integers(0, 16, (*counts, GROUP)).astype("u1")
    exponents = random.integers(118, 132, counts).astype("u1")
    raw = numbers[..., ::2] | numbers[..., 1::2] << 4
    values = numbers.view(ml_dtypes.float4_e2m1fn).astype("f4")
    values *= exponents.view(ml_dtypes.float8_e8m0fnu).astype("f4")[..., None]
    if not weight.endswith("blocks"):
        raw = raw.reshape(*counts[:-1], -1)
    return {weight: raw, scale: exponents}, values.reshape(*counts[:-1], -1)


@pytest.mark.parametrize(
    ("weight", "scale", "name", "turned"),
    [
        ("a.up_proj_blocks", "a.up_proj_scales", "a.up_proj", True),
        ("mlp1_weight.blocks", "mlp1_weight.scales", "mlp1_weight", False),
        ("fc.weight_packed", "fc.weight_scale", "fc.weight", False),
        ("fc.weight", "fc.weight_scale", "fc.weight", False),
    ],
)
def test_the_values_are_those_of_ml_dtypes(
    weight: str, scale: str, name: str, turned: bool
) -> None:
    tensors, values = packed(weight, scale, (3, 5, 2))
    expected = values.swapaxes(1, 2) if turned else values
    floats = to_floats({**tensors, "a.up_proj_bias": np.ones(3)})
    assert list(floats) == [name, "a.up_proj_bias"]
    assert np.array_equal(floats[name].numpy(), expected)
    assert np.array_equal(floats[name][1:3, 4:5].numpy(), expected[1:3, 4:5])
    assert np.array_equal(floats[name][1:3,].numpy(), expected[1:3])
    for first, last in [(0, 1), (0, 5), (3, 4), (31, 33), (32, 64), (63, 64), (5, 5)]:
        box = (slice(0, 2), slice(first, last), slice(1, 4))
        assert np.array_equal(floats[name][box].numpy(), expected[box])
    state = StateDict(tensors, config={"quantization_config": {"quant_method": "mxfp4"}})
    assert quantization_notes(state) == ["quantized: mxfp4, 4 bits, groups of 32; 1 weight"]


def test_the_same_tensors_under_other_names_are_other_values() -> None:
    tensors, _ = packed("a_blocks", "a_scales", (3, 5, 2))
    both = {**tensors, "b.blocks": tensors["a_blocks"], "b.scales": tensors["a_scales"]}
    floats = to_floats(both)
    assert (floats["a"].shape, floats["b"].shape) == ((3, 64, 5), (3, 5, 64))


def test_experts_of_a_file_are_computed_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caten_sd.state.parts.SCATTERED", 1 << 21)
    tensors, values = packed("a_blocks", "a_scales", (2, 600, 40))
    write_state_dict(tensors, tmp_path / "w.safetensors")
    with read_state_dict(tmp_path / "w.safetensors") as file:
        leaf = to_floats(file)["a"]
        cut = parts(leaf)
        assert len(cut) > 2  # so not even an expert is computed at once
        found = np.concatenate([part.numpy().reshape(-1) for part in cut])
    assert np.array_equal(found, values.swapaxes(1, 2).reshape(-1))


@pytest.mark.parametrize("shape", [(3, 5, 1), (3, 5), (3, 4, 2), (0, 5, 2)])
def test_scales_that_do_not_fit_are_named_with_both_shapes(shape: tuple[int, ...]) -> None:
    tensors, _ = packed("a_blocks", "a_scales", (3, 5, 2))
    with pytest.raises(StateDictError, match=r"a_blocks .*\[3, 5, 2, 16\].*uint8 \["):
        to_floats({**tensors, "a_scales": np.zeros(shape, "u1")})


@pytest.mark.slow
def test_transformers_gives_the_same_values() -> None:
    torch = pytest.importorskip("torch")
    own = pytest.importorskip("transformers.integrations.mxfp4", reason="no transformers")
    tensors, _ = packed("a_blocks", "a_scales", (3, 5, 2))
    given = [torch.from_numpy(tensors[key]) for key in ("a_blocks", "a_scales")]
    expected = own.convert_moe_packed_tensors(*given, dtype=torch.float32)
    assert np.array_equal(to_floats(tensors)["a"].numpy(), expected.numpy())

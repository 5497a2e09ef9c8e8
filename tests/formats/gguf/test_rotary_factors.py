"""The factors of rotary frequencies are those that transformers scales them by."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from caten_sd.formats.gguf.rotary_factors import rotary_factors

TABLE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
SAID = {"llama.rope.dimension_count": 64, "llama.rope.freq_base": 10000.0}


def test_llama_3_stretches_long_waves() -> None:
    config = LlamaConfig(
        hidden_size=256,
        num_attention_heads=4,
        max_position_embeddings=4096,
        rope_parameters={**TABLE, "rope_theta": 10000.0},
    )
    scaled = LlamaRotaryEmbedding(config).inv_freq.numpy()
    plain = 1 / 10000.0 ** (np.arange(0, 64, 2) / 64)
    (factors,) = rotary_factors("llama", config.to_dict(), SAID).values()
    np.testing.assert_allclose(factors, plain / scaled, rtol=1e-5)
    assert factors.dtype == np.float32
    assert (factors[0], factors[-1]) == (1.0, 8.0)


def test_phi_3_has_a_factor_for_each_frequency() -> None:
    table = {"type": "longrope", "long_factor": [2.0, 4.0], "short_factor": [1.0, 1.5]}
    found = rotary_factors("phi3", {"rope_scaling": table}, {})
    assert {key: value.tolist() for key, value in found.items()} == {
        "rope_factors_long.weight": [2.0, 4.0],
        "rope_factors_short.weight": [1.0, 1.5],
    }


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"rope_scaling": None},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_scaling": TABLE},
    ],
)
def test_others_have_none(config: dict[str, object]) -> None:
    assert rotary_factors("llama", config, {}) == {}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"factor": 10**400}, {}),
        ({"factor": float("inf")}, {}),
        ({}, {"llama.rope.freq_base": 10**400}),
        ({}, {"llama.rope.dimension_count": 1 << 40}),
        ({"rope_type": "longrope", "long_factor": [10**400]}, {}),
    ],
)
def test_numbers_that_no_model_has_give_none(more: dict[str, object], said: dict[str, int]) -> None:
    assert rotary_factors("llama", {"rope_scaling": {**TABLE, **more}}, {**SAID, **said}) == {}

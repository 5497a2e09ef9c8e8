"""What a GGUF says of a model comes from its configuration, for each architecture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.mapping.gguf_numbers import described

MOE = {
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "scoring_func": "sigmoid",
    "n_group": 2,
    "topk_group": 1,
}


@pytest.mark.parametrize(
    ("config", "entries"),
    [
        (MOE, {"expert_count": 8, "expert_used_count": 2, "expert_gating_func": 2,
               "expert_group_count": 2, "expert_group_used_count": 1}),
        ({"scoring_func": ["sigmoid"], "is_causal": False}, {"attention.causal": False}),
        ({"rms_norm_eps": 1e-6, "hidden_size": {}}, {"attention.layer_norm_rms_epsilon": 1e-6}),
        ({"num_experts_per_tok": [8, 8]}, {"expert_used_count": 8}),
        ({"intermediate_size": [8, 4]}, {"feed_forward_length": [8, 4]}),
        ({"n_positions": 10**400, "intermediate_size": [8, 1 << 64]}, {}),
        ({"n_positions": 8, "n_ctx": 9}, {"context_length": 9}),
    ],
)  # fmt: skip
def test_every_architecture_has(config: dict[str, Any], entries: dict[str, Any]) -> None:
    assert described({}, "a", config.get) == {f"a.{key}": value for key, value in entries.items()}


def test_a_layouts_own_sizes_count_before_what_every_architecture_has() -> None:
    sizes = {"a.attention.head_count": 0, "a.attention.key_length": "kv + rope"}
    found = described(sizes, "a", {"num_attention_heads": 4, "kv": 3, "rope": 2}.get)
    assert found == {"a.attention.head_count": 0, "a.attention.key_length": 5}


def test_a_grouped_model_with_a_scaled_rotary_embedding() -> None:
    config = {
        "model_type": "qwen2",
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    }
    keys = ("input_layernorm.weight", "self_attn.q_proj.bias")
    state = {f"model.layers.0.{key}": np.ones(8, "f4") for key in keys}
    made = sd.plan_layout(state, "gguf-qwen2", from_layout="hf-qwen2", config=config).state_dict
    told = {key[6:]: value for key, value in made.metadata.items() if key.startswith("qwen2.")}
    assert told["attention.head_count_kv"] == 2
    assert told["rope.scaling.type"] == "yarn"
    assert told["rope.scaling.original_context_length"] == 64
    assert told["rope.freq_base"] == 1000000

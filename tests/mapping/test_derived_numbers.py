"""Numbers that follow from others of a configuration."""

from __future__ import annotations

import math
from typing import Any

import pytest

from caten_sd.mapping.derived_numbers import with_derived

FULL, RECURRENT = "full_attention", "linear_attention"
JAMBA = {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1}
GEMMA = {"layer_types": ["sliding_attention", FULL], "per_layer_config": {"1": {"head_dim": 32}}}


@pytest.mark.parametrize(
    ("name", "config", "value"),
    [
        ("head_dim", {"hidden_size": 64, "num_attention_heads": 4}, 16),
        ("head_dim", {"hidden_size": 64, "num_attention_heads": 4, "head_dim": 8}, 8),
        ("head_dim", {"hidden_size": 64, "num_attention_heads": 0}, None),
        ("rotary_dim", {"head_dim": 16, "partial_rotary_factor": 0.25}, 4),
        ("rotary_dim", {"head_dim": 16}, 16),
        ("rotary_dim", {"head_dim": 16, "partial_rotary_factor": "half"}, None),
        ("rotary_dim", {"head_dim": 16, "partial_rotary_factor": math.nan}, None),
        ("rotary_dim", {"head_dim": 16, "partial_rotary_factor": math.inf}, None),
        ("rotary_dim", {"head_dim": 10**400, "partial_rotary_factor": 0.5}, None),
        ("rope_theta", {"rope_parameters": {"rope_theta": 1e4}}, 1e4),
        ("mrope_sections", {"rope_scaling": {"mrope_section": [2, 3, 3]}}, [2, 3, 3, 0]),
        ("layer_types", {"layer_types": ["mamba", "attention"]}, [RECURRENT, FULL]),
        ("layer_types", {"hybrid_override_pattern": "M*-"}, [RECURRENT, FULL, "mlp"]),
        ("layer_types", JAMBA, [RECURRENT, FULL] * 2),
        ("layer_types", {**JAMBA, "num_hidden_layers": "4"}, None),
        ("layer_types", {**JAMBA, "num_hidden_layers": 10**400}, None),
        ("layer_types", {"num_hidden_layers": 2, "attn_layer_indices": [0]}, [FULL, RECURRENT]),
        ("num_hidden_layers", {"layers_block_type": ["mamba"] * 3}, 3),
        ("attention_only", {"layer_types": ["attention"] * 2}, True),
        ("attention_only", {"layer_types": ["attention", "mamba"]}, False),
        ("leading_dense_layers", {"mlp_layer_types": ["dense", "sparse", "dense"]}, 1),
        ("leading_dense_layers", {"first_k_dense_replace": 3, "n_routed_experts": 8}, 3),
        ("leading_dense_layers", {"n_routed_experts": 8}, 0),
        ("leading_dense_layers", {"num_hidden_layers": 5}, 5),
        ("global_head_dim", GEMMA, 32),
        ("global_head_dim", {**GEMMA, "per_layer_config": {"1": "wide"}}, None),
        ("global_head_dim", {**GEMMA, "per_layer_config": {"1": "head_dim"}}, None),
        ("positions", {"max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ("deepstack_layers", {"vision_config": {"deepstack_visual_indexes": [1, 2]}}, 2),
        (
            "activation_sparsity_scale",
            {"activation_sparsity_pattern": [0.5, 0.0]},
            [0.0, -math.inf],
        ),
        ("other", {}, None),
    ],
)
def test_a_number_follows(name: str, config: dict[str, Any], value: Any) -> None:
    assert with_derived(config.get)(name) == value

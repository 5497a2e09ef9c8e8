"""Tiny random models of transformers: one for each class, with numbers that tell themselves apart.

No two numbers of a configuration are equal where the class allows it, so each axis names its
number. No tensor is constant and no two are equal, so each tensor is known by its values.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

# A number for each meaning; a name that a class does not have is left out.
NUMBERS: dict[str, Any] = {
    **dict.fromkeys(["vocab_size"], 160),
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "dim", "embedding_dim"], 64),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "layers"], 3),
    **dict.fromkeys(["num_decoder_layers", "encoder_layers", "decoder_layers"], 3),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "heads"], 4),
    **dict.fromkeys(["num_key_value_heads", "num_kv_heads", "multi_query_group_num"], 2),
    **dict.fromkeys(["head_dim", "d_kv", "kv_channels"], 16),
    **dict.fromkeys(["intermediate_size", "n_inner", "ffn_dim", "d_ff", "hidden_dim"], 96),
    **dict.fromkeys(["moe_intermediate_size", "expert_ffn_hidden_size", "ffn_hidden_size"], 48),
    **dict.fromkeys(["shared_expert_intermediate_size", "shared_intermediate_size"], 80),
    **dict.fromkeys(["moe_shared_expert_intermediate_size"], 80),
    **dict.fromkeys(["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"], 4),
    **dict.fromkeys(["num_experts_per_tok", "moe_k", "top_k_experts", "moe_topk"], 2),
    **dict.fromkeys(["n_positions", "n_ctx", "max_position_embeddings"], 112),
    **dict.fromkeys(["num_labels", "type_vocab_size"], 2),
    **dict.fromkeys(["n_group", "topk_group"], 1),
    **dict.fromkeys(["q_lora_rank"], 24),
    **dict.fromkeys(["kv_lora_rank"], 40),
    **dict.fromkeys(["qk_nope_head_dim"], 12),
    **dict.fromkeys(["qk_rope_head_dim"], 8),
    **dict.fromkeys(["v_head_dim"], 20),
    **dict.fromkeys(["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"], 1),
    **dict.fromkeys(["n_shared_experts", "num_shared_experts", "moe_num_shared_experts"], 1),
    **dict.fromkeys(["index_head_dim"], 16),
    **dict.fromkeys(["index_n_heads"], 4),
    **dict.fromkeys(["pad_token_id", "bos_token_id", "eos_token_id"], 1),
    **dict.fromkeys(["rotary_dim"], 16),
    **dict.fromkeys(["sliding_window"], 32),
    **dict.fromkeys(["state_size", "ssm_state_size", "mamba_d_state"], 20),
    **dict.fromkeys(["time_step_rank", "mamba_dt_rank"], 6),
    **dict.fromkeys(["mamba_num_heads", "mamba_n_heads"], 8),
    **dict.fromkeys(["mamba_head_dim", "mamba_d_head"], 16),
    **dict.fromkeys(["mamba_d_ssm", "mamba_intermediate_size"], 128),
    **dict.fromkeys(["mamba_n_groups", "n_groups"], 2),
    **dict.fromkeys(["conv_dim"], 64),
    **dict.fromkeys(["linear_num_key_heads"], 5),
    **dict.fromkeys(["linear_num_value_heads"], 10),
    **dict.fromkeys(["linear_key_head_dim"], 18),
    **dict.fromkeys(["linear_value_head_dim"], 14),
}

# Classes with latent attention, which have as many heads of keys as of queries.
LATENT = [
    "DeepseekV2ForCausalLM",
    "DeepseekV3ForCausalLM",
    "DeepseekV32ForCausalLM",
    "Glm4MoeLiteForCausalLM",
    "GlmMoeDsaForCausalLM",
    "YoutuForCausalLM",
]

# Layers of two kinds, which a hybrid has: each has keys that the other has not.
MIXED = {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
CONVOLVED = {"layer_types": ["conv", "full_attention", "conv"]}

# What a class needs besides: its own checks, or a size without which a model is not tiny. Behind
# a "-" is another model of the class.
CHANGES: dict[str, dict[str, Any]] = {
    "BambaForCausalLM": {"attn_layer_indices": [1]},
    "EuroBertModel": {"classifier_pooling": "mean"},
    "WhisperForConditionalGeneration": {"encoder_attention_heads": 4, "decoder_attention_heads": 4},
    "FalconForCausalLM": {"new_decoder_architecture": True},
    "FalconForCausalLM-7b": {"new_decoder_architecture": False, "num_kv_heads": 1},
    "FalconMambaForCausalLM": {"intermediate_size": 128},
    "Gemma3nForCausalLM": {
        "num_hidden_layers": 5,
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 160,
        "laurel_rank": 10,
        "layer_types": ["full_attention"] * 5,
        "activation_sparsity_pattern": [0.0] * 5,
        "intermediate_size": [96] * 5,
    },
    "Gemma4ForCausalLM": {
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 160,
        "num_kv_shared_layers": 0,
        "global_head_dim": 32,
    },
    "GraniteMoeHybridForCausalLM": MIXED,
    "GraniteMoeHybridForCausalLM-dense": {**MIXED, "num_local_experts": 0},
    "JambaForCausalLM": {"attn_layer_offset": 1, "attn_layer_period": 2},
    **dict.fromkeys(("Lfm2ForCausalLM", "Lfm2Model", "Lfm2MoeForCausalLM"), CONVOLVED),
    "Llama4ForCausalLM-interleaved": {"moe_layers": [1]},
    "JambaForCausalLM-dense": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "num_experts": 1,
    },
    "NemotronHForCausalLM-dense": {
        "layers_block_type": ["linear_attention", "mlp", "full_attention", "mlp"]
    },
    "Cohere2MoeForCausalLM-dense": {
        "mlp_layer_types": ["dense", "sparse", "sparse"],
        "prefix_dense_intermediate_size": 80,
    },
    "Step3p7ForConditionalGeneration": {
        "text_config": {"mlp_layer_types": ["dense", "sparse", "sparse"]}
    },
    "Gemma4ForCausalLM-shared": {
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 160,
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2,
        "global_head_dim": 32,
    },
    "Gemma4ForCausalLM-moe": {
        "hidden_size_per_layer_input": 0,
        "num_kv_shared_layers": 0,
        "global_head_dim": 32,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "num_global_key_value_heads": 2,
    },
    "Mamba2ForCausalLM": {"num_heads": 8, "head_dim": 16, "n_groups": 2},
    "MambaForCausalLM": {"intermediate_size": 128},
    "MiniCPMV4_6ForConditionalGeneration": {"text_config": MIXED},
    **{f"{name}ForCausalLM": MIXED for name in ("Qwen3Next", "Qwen3_5", "Qwen3_5Moe")},
    "Qwen3_5ForConditionalGeneration": {"text_config": MIXED},
    "Qwen3_5MoeForConditionalGeneration": {"text_config": MIXED},
    **{name: {"num_key_value_heads": 4} for name in LATENT},
    "T5EncoderModel-gated": {"feed_forward_proj": "gated-gelu"},
    "T5ForConditionalGeneration-gated": {"feed_forward_proj": "gated-gelu"},
    "Qwen2AudioForConditionalGeneration": {
        "audio_config": {"encoder_attention_heads": 4, "encoder_ffn_dim": 96, "d_model": 64}
    },
}

# Tensors that a class has or not, by its configuration.
BIASES = {"attention_bias": True, "mlp_bias": True}
CHANGES |= {
    "CohereForCausalLM-qknorm": {"use_qk_norm": True},
    "DeepseekV3ForCausalLM-bias": {"num_key_value_heads": 4, "attention_bias": True},
    "GPTNeoXForCausalLM-nobias": {"attention_bias": False},
    "Olmo2ForCausalLM-bias": {"attention_bias": True},
    "OlmoForCausalLM-bias": {"attention_bias": True},
    "Qwen2MoeForCausalLM-nobias": {"qkv_bias": False},
    "StableLmForCausalLM-bias": {"use_qkv_bias": True},
    "Starcoder2ForCausalLM-nobias": {"use_bias": False},
    **{
        f"{name}ForCausalLM-bias": BIASES
        for name in ("Cohere", "Gemma", "Granite", "Llama", "Qwen3", "Qwen3Moe", "SmolLM3")
    },
}

# What a config.json on the hub has and one that transformers 5 saves has not.
ENTRIES: dict[str, dict[str, Any]] = {
    "Cohere2ForCausalLM": {"rotary_pct": 1.0},
    "FalconH1ForCausalLM": {"head_dim": 16},
    "GPT2LMHeadModel": {"n_ctx": 112},
    "GPTNeoXForCausalLM": {"rotary_pct": 0.25},
    "GPTNeoXForCausalLM-nobias": {"rotary_pct": 0.25},
    "HunYuanMoEV1ForCausalLM": {
        "moe_intermediate_size": [96] * 3,
        "moe_topk": [2] * 3,
        "num_shared_expert": [1] * 3,
    },
    "MiMoV2FlashForCausalLM": {
        "swa_head_dim": 16,
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2,
        "swa_v_head_dim": 20,
        "v_head_dim": 20,
        "hybrid_layer_pattern": [0, 1, 0],
        "topk_method": "noaux_tc",
        "rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    },
    "MiniMaxM2ForCausalLM": {"rotary_dim": 16},
    "Step3p7ForConditionalGeneration": {
        "num_attention_groups": 2,
        "moe_num_experts": 4,
        "moe_top_k": 2,
    },
    "T5ForConditionalGeneration": {"decoder_start_token_id": 0},
    "T5ForConditionalGeneration-gated": {"decoder_start_token_id": 0},
}


def tiny_config(kind: type[Any], changes: dict[str, Any]) -> Any:
    """Return a configuration of a class with the numbers, as far as it has them, and changes."""
    known = kind().to_dict()
    values = {name: number for name, number in NUMBERS.items() if name in known}
    for name, part in getattr(kind, "sub_configs", {}).items():
        if name in known and isinstance(part, type) and part is not transformers.AutoConfig:
            values[name] = tiny_config(part, changes.get(name, {})).to_dict()
        elif isinstance(known.get(name), dict):
            inner = type(getattr(kind(), name))
            values[name] = tiny_config(inner, changes.get(name, {})).to_dict()
    flat = {key: each for key, each in changes.items() if not isinstance(values.get(key), dict)}
    return kind(**{**values, **flat})


def tiny_model(name: str) -> Any:
    """Return a random model of the class of transformers that the name begins with."""
    kind = getattr(transformers, class_of(name))
    torch.manual_seed(0)
    model = kind(tiny_config(kind.config_class, CHANGES.get(name, {})))
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.normal_(0.0, 0.05)
    return model.float().eval()


def class_of(name: str) -> str:
    """Return the class of a model of this name.

    >>> class_of("FalconForCausalLM-7b")
    'FalconForCausalLM'
    """
    return name.partition("-")[0]

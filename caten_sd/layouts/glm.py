"""The architectures chatglm, glm4 and glm4moe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GLM = Layout(
    "hf-glm",
    architecture="glm",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate_up_proj.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_CHATGLM = Layout(
    "gguf-chatglm",
    base=HF_GLM,
    model_types=["chatglm"],
    metadata={"general.architecture": "chatglm"},
    sizes={
        "chatglm.block_count": "num_hidden_layers",
        "chatglm.embedding_length": "hidden_size",
        "chatglm.feed_forward_length": "intermediate_size",
        "chatglm.attention.head_count": "num_attention_heads",
        "chatglm.attention.head_count_kv": "num_key_value_heads",
        "chatglm.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
        Row("norm.weight", "output_norm.weight"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_GLM4 = extend(
    HF_GLM,
    "hf-glm4",
    architecture="glm4",
    proof=PROOF,
    rows=[
        Row("layers.{i}.post_mlp_layernorm.weight"),
        Row("layers.{i}.post_self_attn_layernorm.weight"),
    ],
)


GGUF_GLM4 = extend(
    GGUF_CHATGLM,
    "gguf-glm4",
    base=HF_GLM4,
    model_types=["glm4"],
    metadata={"general.architecture": "glm4"},
    proof=PROOF,
    sizes={
        "glm4.context_length": "max_position_embeddings",
        "glm4.attention.key_length": "head_dim",
    },
    rows=[
        Row("layers.{i}.post_mlp_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        Row("layers.{i}.post_self_attn_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
    ],
)


HF_GLM4_MOE = Layout(
    "hf-glm4_moe",
    architecture="glm4_moe/solar_open",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "n_routed_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.mlp.gate.e_score_correction_bias", in_some_layers=True),
        Row("layers.{i}.mlp.gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.up_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", in_some_layers=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.mlp.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.mlp.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_SOLAR_OPEN = extend(
    HF_GLM4_MOE,
    "hf-solar_open",
    base=HF_GLM4_MOE,
    model_types=["solar_open"],
    proof=PROOF,
)


GGUF_GLM4MOE = Layout(
    "gguf-glm4moe",
    base=HF_GLM4_MOE,
    model_types=["glm4moe"],
    metadata={"general.architecture": "glm4moe"},
    sizes={
        "glm4moe.context_length": "max_position_embeddings",
        "glm4moe.embedding_length": "hidden_size",
        "glm4moe.feed_forward_length": "intermediate_size",
        "glm4moe.expert_feed_forward_length": "moe_intermediate_size",
        "glm4moe.attention.head_count": "num_attention_heads",
        "glm4moe.attention.head_count_kv": "num_key_value_heads",
        "glm4moe.expert_count": "n_routed_experts",
        "glm4moe.expert_used_count": "num_experts_per_tok",
        "glm4moe.rope.dimension_count": "rotary_dim",
        "glm4moe.expert_shared_count": "n_shared_experts",
        "glm4moe.leading_dense_block_count": "leading_dense_layers",
        "glm4moe.expert_gating_func": 2,
        "glm4moe.expert_weights_scale": "routed_scaling_factor",
        "glm4moe.expert_weights_norm": "norm_topk_prob",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row(
            "layers.{i}.mlp.gate.e_score_correction_bias",
            "blk.{i}.exp_probs_b.bias",
            in_some_layers=True,
        ),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
        Row(
            "layers.{i}.mlp.shared_experts.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.gate_proj.weight",
            "blk.{i}.ffn_gate_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            in_some_layers=True,
        ),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", optional=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", optional=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", optional=True),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architecture gemma4, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GEMMA4_TEXT = Layout(
    "hf-gemma4_text",
    architecture="gemma4_text",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("embed_tokens_per_layer.weight", optional=True),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.layer_scalar"),
        Row("layers.{i}.per_layer_input_gate.weight", optional=True),
        Row("layers.{i}.per_layer_projection.weight", optional=True),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight"),
        Row("layers.{i}.post_per_layer_input_norm.weight", optional=True),
        Row("layers.{i}.pre_feedforward_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("per_layer_model_projection.weight", optional=True),
        Row("per_layer_projection_norm.weight", optional=True),
        Row("layers.{i}.experts.down_proj", optional=True),
        Row("layers.{i}.experts.gate_up_proj", optional=True),
        Row("layers.{i}.post_feedforward_layernorm_1.weight", optional=True),
        Row("layers.{i}.post_feedforward_layernorm_2.weight", optional=True),
        Row("layers.{i}.pre_feedforward_layernorm_2.weight", optional=True),
        Row("layers.{i}.router.per_expert_scale", optional=True),
        Row("layers.{i}.router.proj.weight", optional=True),
        Row("layers.{i}.router.scale", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_GEMMA4 = Layout(
    "gguf-gemma4",
    base=HF_GEMMA4_TEXT,
    model_types=["gemma4"],
    metadata={"general.architecture": "gemma4"},
    sizes={
        "gemma4.block_count": "num_hidden_layers",
        "gemma4.context_length": "max_position_embeddings",
        "gemma4.embedding_length": "hidden_size",
        "gemma4.feed_forward_length": "intermediate_size",
        "gemma4.expert_feed_forward_length": "moe_intermediate_size",
        "gemma4.attention.head_count": "num_attention_heads",
        "gemma4.attention.head_count_kv": "num_key_value_heads",
        "gemma4.expert_count": "num_experts",
        "gemma4.attention.key_length": "global_head_dim",
        "gemma4.attention.value_length": "global_head_dim",
        "gemma4.attention.sliding_window": "sliding_window",
        "gemma4.attention.shared_kv_layers": "num_kv_shared_layers",
        "gemma4.embedding_length_per_layer_input": "hidden_size_per_layer_input",
        "gemma4.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "gemma4.attention.key_length_swa": "head_dim",
        "gemma4.attention.value_length_swa": "head_dim",
        "gemma4.rope.dimension_count_swa": "head_dim",
        "gemma4.rope.dimension_count": "global_head_dim",
    },
    proof=PROOF,
    rows=[
        Row("embed_tokens_per_layer.weight", "per_layer_token_embd.weight", optional=True),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.layer_scalar", "blk.{i}.layer_output_scale.weight"),
        Row("layers.{i}.per_layer_input_gate.weight", "blk.{i}.inp_gate.weight", optional=True),
        Row("layers.{i}.per_layer_projection.weight", "blk.{i}.proj.weight", optional=True),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        Row(
            "layers.{i}.post_per_layer_input_norm.weight", "blk.{i}.post_norm.weight", optional=True
        ),
        Row("layers.{i}.pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row(
            "layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", in_some_layers=True
        ),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("norm.weight", "output_norm.weight"),
        Row("per_layer_model_projection.weight", "per_layer_model_proj.weight", optional=True),
        Row("per_layer_projection_norm.weight", "per_layer_proj_norm.weight", optional=True),
        Row("layers.{i}.experts.down_proj", "blk.{i}.ffn_down_exps.weight", optional=True),
        Row("layers.{i}.experts.gate_up_proj", "blk.{i}.ffn_gate_up_exps.weight", optional=True),
        Row(
            "layers.{i}.post_feedforward_layernorm_1.weight",
            "blk.{i}.post_ffw_norm_1.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.post_feedforward_layernorm_2.weight",
            "blk.{i}.post_ffw_norm_2.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.pre_feedforward_layernorm_2.weight",
            "blk.{i}.pre_ffw_norm_2.weight",
            optional=True,
        ),
        Row("layers.{i}.router.per_expert_scale", "blk.{i}.ffn_down_exps.scale", optional=True),
        Row("layers.{i}.router.proj.weight", "blk.{i}.ffn_gate_inp.weight", optional=True),
        Row("layers.{i}.router.scale", "blk.{i}.ffn_gate_inp.scale", optional=True),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

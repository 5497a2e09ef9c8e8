"""The architecture gemma3n, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GEMMA3N_TEXT = Layout(
    "hf-gemma3n_text",
    architecture="gemma3n_text",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("embed_tokens_per_layer.weight"),
        Row("layers.{i}.altup.correct_output_scale"),
        Row("layers.{i}.altup.correction_coefs.weight"),
        Row("layers.{i}.altup.modality_router.weight"),
        Row("layers.{i}.altup.prediction_coefs.weight"),
        Row("layers.{i}.altup.router_norm.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.laurel.linear_left.weight"),
        Row("layers.{i}.laurel.linear_right.weight"),
        Row("layers.{i}.laurel.post_laurel_norm.weight"),
        Row("layers.{i}.mlp.down_proj.weight"),
        Row("layers.{i}.mlp.gate_proj.weight"),
        Row("layers.{i}.mlp.up_proj.weight"),
        Row("layers.{i}.per_layer_input_gate.weight"),
        Row("layers.{i}.per_layer_projection.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight"),
        Row("layers.{i}.post_per_layer_input_norm.weight"),
        Row("layers.{i}.pre_feedforward_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("per_layer_model_projection.weight"),
        Row("per_layer_projection_norm.weight"),
        Row("altup_projections.{e}.weight"),
        Row("altup_unembed_projections.{e}.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_GEMMA3N = Layout(
    "gguf-gemma3n",
    base=HF_GEMMA3N_TEXT,
    model_types=["gemma3n"],
    metadata={"general.architecture": "gemma3n"},
    sizes={
        "gemma3n.block_count": "num_hidden_layers",
        "gemma3n.context_length": "max_position_embeddings",
        "gemma3n.embedding_length": "hidden_size",
        "gemma3n.attention.head_count": "num_attention_heads",
        "gemma3n.attention.head_count_kv": "num_key_value_heads",
        "gemma3n.attention.key_length": "head_dim",
        "gemma3n.feed_forward_length": "intermediate_size",
        "gemma3n.final_logit_softcapping": "final_logit_softcapping",
        "gemma3n.attention.sliding_window": "sliding_window",
        "gemma3n.altup.active_idx": "altup_active_idx",
        "gemma3n.altup.num_inputs": "altup_num_inputs",
        "gemma3n.embedding_length_per_layer_input": "hidden_size_per_layer_input",
        "gemma3n.attention.shared_kv_layers": "num_kv_shared_layers",
        "gemma3n.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "gemma3n.activation_sparsity_scale": "activation_sparsity_scale",
    },
    proof=PROOF,
    rows=[
        Row("embed_tokens_per_layer.weight", "per_layer_token_embd.weight"),
        Row("layers.{i}.altup.correct_output_scale", "blk.{i}.altup_correct_scale.weight"),
        Row("layers.{i}.altup.correction_coefs.weight", "blk.{i}.altup_correct_coef.weight"),
        Row("layers.{i}.altup.modality_router.weight", "blk.{i}.altup_router.weight"),
        Row("layers.{i}.altup.prediction_coefs.weight", "blk.{i}.altup_predict_coef.weight"),
        Row("layers.{i}.altup.router_norm.weight", "blk.{i}.altup_router_norm.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.laurel.linear_left.weight", "blk.{i}.laurel_l.weight"),
        Row("layers.{i}.laurel.linear_right.weight", "blk.{i}.laurel_r.weight"),
        Row("layers.{i}.laurel.post_laurel_norm.weight", "blk.{i}.laurel_post_norm.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.per_layer_input_gate.weight", "blk.{i}.inp_gate.weight"),
        Row("layers.{i}.per_layer_projection.weight", "blk.{i}.proj.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        Row("layers.{i}.post_per_layer_input_norm.weight", "blk.{i}.post_norm.weight"),
        Row("layers.{i}.pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("per_layer_model_projection.weight", "per_layer_model_proj.weight"),
        Row("per_layer_projection_norm.weight", "per_layer_proj_norm.weight"),
        Row("altup_projections.{e}.weight", "altup_proj.weight", Stack("e")),
        Row("altup_unembed_projections.{e}.weight", "altup_unembd_proj.weight", Stack("e")),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

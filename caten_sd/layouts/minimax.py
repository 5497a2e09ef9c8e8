"""The architecture minimax-m2, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_MINIMAX_M2 = Layout(
    "hf-minimax_m2",
    architecture="minimax_m2",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_local_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.e_score_correction_bias"),
        Row("layers.{i}.block_sparse_moe.gate.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.block_sparse_moe.experts.{e}.w1.weight"),
        Row("layers.{i}.block_sparse_moe.experts.{e}.w2.weight"),
        Row("layers.{i}.block_sparse_moe.experts.{e}.w3.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_MINIMAX_M2 = Layout(
    "gguf-minimax-m2",
    base=HF_MINIMAX_M2,
    model_types=["minimax-m2"],
    metadata={"general.architecture": "minimax-m2"},
    sizes={
        "minimax-m2.block_count": "num_hidden_layers",
        "minimax-m2.context_length": "max_position_embeddings",
        "minimax-m2.embedding_length": "hidden_size",
        "minimax-m2.feed_forward_length": "intermediate_size",
        "minimax-m2.attention.head_count": "num_attention_heads",
        "minimax-m2.attention.head_count_kv": "num_key_value_heads",
        "minimax-m2.attention.key_length": "head_dim",
        "minimax-m2.expert_count": "num_local_experts",
        "minimax-m2.expert_used_count": "num_experts_per_tok",
        "minimax-m2.expert_feed_forward_length": "intermediate_size",
        "minimax-m2.expert_gating_func": 2,
        "minimax-m2.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
        Row("layers.{i}.block_sparse_moe.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.block_sparse_moe.experts.{e}.w1.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
        ),
        Row(
            "layers.{i}.block_sparse_moe.experts.{e}.w2.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
        ),
        Row(
            "layers.{i}.block_sparse_moe.experts.{e}.w3.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architecture minicpm3, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_MINICPM3 = Layout(
    "hf-minicpm3",
    architecture="minicpm3",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.kv_a_layernorm.weight"),
        Row("layers.{i}.self_attn.kv_a_proj_with_mqa.weight"),
        Row("layers.{i}.self_attn.kv_b_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_a_layernorm.weight"),
        Row("layers.{i}.self_attn.q_a_proj.weight"),
        Row("layers.{i}.self_attn.q_b_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_MINICPM3 = Layout(
    "gguf-minicpm3",
    base=HF_MINICPM3,
    model_types=["minicpm3"],
    metadata={"general.architecture": "minicpm3"},
    sizes={
        "minicpm3.block_count": "num_hidden_layers",
        "minicpm3.context_length": "max_position_embeddings",
        "minicpm3.embedding_length": "hidden_size",
        "minicpm3.feed_forward_length": "intermediate_size",
        "minicpm3.attention.head_count": "num_attention_heads",
        "minicpm3.attention.head_count_kv": "num_key_value_heads",
        "minicpm3.attention.kv_lora_rank": "kv_lora_rank",
        "minicpm3.attention.q_lora_rank": "q_lora_rank",
        "minicpm3.vocab_size": "vocab_size",
        "minicpm3.rope.dimension_count": "qk_rope_head_dim",
        "minicpm3.attention.value_length": "v_head_dim",
        "minicpm3.attention.key_length": "qk_nope_head_dim + qk_rope_head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.kv_a_layernorm.weight", "blk.{i}.attn_kv_a_norm.weight"),
        Row("layers.{i}.self_attn.kv_a_proj_with_mqa.weight", "blk.{i}.attn_kv_a_mqa.weight"),
        Row("layers.{i}.self_attn.kv_b_proj.weight", "blk.{i}.attn_kv_b.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_a_layernorm.weight", "blk.{i}.attn_q_a_norm.weight"),
        Row("layers.{i}.self_attn.q_a_proj.weight", "blk.{i}.attn_q_a.weight"),
        Row("layers.{i}.self_attn.q_b_proj.weight", "blk.{i}.attn_q_b.weight"),
        Row("norm.weight", "output_norm.weight"),
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

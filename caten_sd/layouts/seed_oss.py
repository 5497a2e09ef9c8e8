"""The architecture seed_oss, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_SEED_OSS = Layout(
    "hf-seed_oss",
    architecture="seed_oss",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_SEED_OSS = Layout(
    "gguf-seed_oss",
    base=HF_SEED_OSS,
    model_types=["seed_oss"],
    metadata={"general.architecture": "seed_oss"},
    sizes={
        "seed_oss.block_count": "num_hidden_layers",
        "seed_oss.context_length": "max_position_embeddings",
        "seed_oss.embedding_length": "hidden_size",
        "seed_oss.feed_forward_length": "intermediate_size",
        "seed_oss.attention.head_count": "num_attention_heads",
        "seed_oss.attention.head_count_kv": "num_key_value_heads",
        "seed_oss.attention.key_length": "head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
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

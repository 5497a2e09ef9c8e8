"""The architecture jais2, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_JAIS2 = Layout(
    "hf-jais2",
    architecture="jais2",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.{part:weight|bias}"),
        Row("layers.{i}.mlp.down_proj.bias"),
        Row("layers.{i}.mlp.up_proj.bias"),
        Row("layers.{i}.post_attention_layernorm.{part:weight|bias}"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.{part:weight|bias}"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_JAIS2 = Layout(
    "gguf-jais2",
    base=HF_JAIS2,
    model_types=["jais2"],
    metadata={"general.architecture": "jais2"},
    sizes={
        "jais2.block_count": "num_hidden_layers",
        "jais2.context_length": "max_position_embeddings",
        "jais2.embedding_length": "hidden_size",
        "jais2.feed_forward_length": "intermediate_size",
        "jais2.attention.head_count": "num_attention_heads",
        "jais2.attention.head_count_kv": "num_key_value_heads",
        "jais2.attention.key_length": "head_dim",
        "jais2.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"
        ),
        Row("layers.{i}.mlp.down_proj.bias", "blk.{i}.ffn_down.bias"),
        Row("layers.{i}.mlp.up_proj.bias", "blk.{i}.ffn_up.bias"),
        Row(
            "layers.{i}.post_attention_layernorm.{part:weight|bias}",
            "blk.{i}.ffn_norm.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row(
            "layers.{i}.self_attn.o_proj.{part:weight|bias}",
            "blk.{i}.attn_output.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
        Row("norm.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

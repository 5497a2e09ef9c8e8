"""The architecture starcoder2, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_STARCODER2 = Layout(
    "hf-starcoder2",
    architecture="starcoder2",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.{part:weight|bias}"),
        Row("layers.{i}.mlp.c_fc.bias", optional=True),
        Row("layers.{i}.mlp.c_proj.bias", optional=True),
        Row("layers.{i}.post_attention_layernorm.{part:weight|bias}"),
        Row("layers.{i}.self_attn.k_proj.bias", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.{part:weight|bias}"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.c_fc.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.c_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_STARCODER2 = Layout(
    "gguf-starcoder2",
    base=HF_STARCODER2,
    model_types=["starcoder2"],
    metadata={"general.architecture": "starcoder2"},
    sizes={
        "starcoder2.block_count": "num_hidden_layers",
        "starcoder2.context_length": "max_position_embeddings",
        "starcoder2.embedding_length": "hidden_size",
        "starcoder2.feed_forward_length": "intermediate_size",
        "starcoder2.attention.head_count": "num_attention_heads",
        "starcoder2.attention.head_count_kv": "num_key_value_heads",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"
        ),
        Row("layers.{i}.mlp.c_fc.bias", "blk.{i}.ffn_up.bias", optional=True),
        Row("layers.{i}.mlp.c_proj.bias", "blk.{i}.ffn_down.bias", optional=True),
        Row(
            "layers.{i}.post_attention_layernorm.{part:weight|bias}",
            "blk.{i}.ffn_norm.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

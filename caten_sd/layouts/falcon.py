"""The architectures falcon and falcon-7b, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_FALCON = Layout(
    "hf-falcon",
    architecture="falcon",
    prefixes=("transformer.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("h.{i}.ln_attn.{part:weight|bias}"),
        Row("h.{i}.ln_mlp.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.weight"),
        Row("h.{i}.mlp.dense_h_to_4h.weight", shape=("ffn_hidden_size", "hidden_size")),
        Row("h.{i}.self_attention.dense.weight"),
        Row("h.{i}.self_attention.query_key_value.weight"),
        Row("ln_f.{part:weight|bias}"),
        Row("word_embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="word_embeddings.weight", untied=UNTIED),
    ],
)


GGUF_FALCON = Layout(
    "gguf-falcon",
    base=HF_FALCON,
    model_types=["falcon"],
    metadata={"general.architecture": "falcon"},
    sizes={
        "falcon.block_count": "num_hidden_layers",
        "falcon.embedding_length": "hidden_size",
        "falcon.attention.head_count": "num_attention_heads",
        "falcon.attention.head_count_kv": "num_kv_heads",
        "falcon.context_length": 2048,
        "falcon.feed_forward_length": "ffn_hidden_size",
    },
    proof=PROOF,
    rows=[
        Row("h.{i}.ln_attn.{part:weight|bias}", "blk.{i}.attn_norm_2.{part:weight|bias}"),
        Row("h.{i}.ln_mlp.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight"),
        Row("h.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight"),
        Row("h.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight"),
        Row(
            "h.{i}.self_attention.query_key_value.weight",
            "blk.{i}.attn_qkv.weight",
            Regroup(
                ("num_attention_heads", "num_kv_heads", "num_kv_heads"), "num_kv_heads", undo=True
            ),
        ),
        Row("ln_f.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("word_embeddings.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="word_embeddings.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_FALCON_7B = extend(
    HF_FALCON,
    "hf-falcon-7b",
    architecture="falcon",
    model_types=["falcon"],
    proof=PROOF,
    without=["h.{i}.ln_attn.{part:weight|bias}", "h.{i}.ln_mlp.{part:weight|bias}"],
    rows=[Row("h.{i}.input_layernorm.{part:weight|bias}")],
)


GGUF_FALCON_7B = extend(
    GGUF_FALCON,
    "gguf-falcon-7b",
    base=HF_FALCON_7B,
    model_types=["falcon"],
    metadata={"general.architecture": "falcon"},
    proof=PROOF,
    without=["h.{i}.ln_attn.{part:weight|bias}", "h.{i}.ln_mlp.{part:weight|bias}"],
    rows=[
        Row("h.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight"),
    ],
)

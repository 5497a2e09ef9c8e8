"""The architecture bloom, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_BLOOM = Layout(
    "hf-bloom",
    architecture="bloom",
    prefixes=("transformer.", ""),
    counts={"i": "n_layer"},
    proof=PROOF,
    rows=[
        Row("h.{i}.input_layernorm.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_h_to_4h.{part:weight|bias}"),
        Row("h.{i}.post_attention_layernorm.{part:weight|bias}"),
        Row("h.{i}.self_attention.dense.{part:weight|bias}"),
        Row("h.{i}.self_attention.query_key_value.bias"),
        Row("h.{i}.self_attention.query_key_value.weight"),
        Row("ln_f.{part:weight|bias}"),
        Row("word_embeddings_layernorm.{part:weight|bias}"),
        Row("word_embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="word_embeddings.weight", untied=UNTIED),
    ],
)


GGUF_BLOOM = Layout(
    "gguf-bloom",
    base=HF_BLOOM,
    model_types=["bloom"],
    metadata={"general.architecture": "bloom"},
    sizes={
        "bloom.block_count": "n_layer",
        "bloom.embedding_length": "hidden_size",
        "bloom.attention.head_count": "n_head",
        "bloom.feed_forward_length": "4*hidden_size",
        "bloom.attention.head_count_kv": "n_head",
        "bloom.context_length": "seq_length or 2048",
    },
    proof=PROOF,
    rows=[
        Row("h.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.{part:weight|bias}", "blk.{i}.ffn_down.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_h_to_4h.{part:weight|bias}", "blk.{i}.ffn_up.{part:weight|bias}"),
        Row(
            "h.{i}.post_attention_layernorm.{part:weight|bias}",
            "blk.{i}.ffn_norm.{part:weight|bias}",
        ),
        Row(
            "h.{i}.self_attention.dense.{part:weight|bias}",
            "blk.{i}.attn_output.{part:weight|bias}",
        ),
        Row(
            "h.{i}.self_attention.query_key_value.bias",
            "blk.{i}.attn_qkv.bias",
            Regroup((1, 1, 1), "n_head", undo=True),
        ),
        Row(
            "h.{i}.self_attention.query_key_value.weight",
            "blk.{i}.attn_qkv.weight",
            Regroup((1, 1, 1), "n_head", undo=True),
        ),
        Row("ln_f.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("word_embeddings_layernorm.{part:weight|bias}", "token_embd_norm.{part:weight|bias}"),
        Row("word_embeddings.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="word_embeddings.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

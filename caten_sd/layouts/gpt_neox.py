"""The architecture gptneox, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GPT_NEOX = Layout(
    "hf-gpt_neox",
    architecture="gpt_neox",
    prefixes=("gpt_neox.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("final_layer_norm.{part:weight|bias}"),
        Row("layers.{i}.attention.dense.bias", optional=True),
        Row("layers.{i}.attention.dense.weight"),
        Row("layers.{i}.attention.query_key_value.bias", optional=True),
        Row("layers.{i}.attention.query_key_value.weight"),
        Row("layers.{i}.input_layernorm.{part:weight|bias}"),
        Row("layers.{i}.mlp.dense_4h_to_h.{part:weight|bias}"),
        Row("layers.{i}.mlp.dense_h_to_4h.{part:weight|bias}"),
        Row("layers.{i}.post_attention_layernorm.{part:weight|bias}"),
        Row("embed_in.weight", shape=("vocab_size", "hidden_size")),
        Row("embed_out.weight", prefixed=False, tied="embed_in.weight", untied=UNTIED),
        Drop("layers.{i}.attention.rotary_emb.inv_freq", "computed from the configuration"),
        Drop("layers.{i}.attention.bias", "computed from the configuration"),
        Drop("layers.{i}.attention.masked_bias", "computed from the configuration"),
    ],
)


GGUF_GPTNEOX = Layout(
    "gguf-gptneox",
    base=HF_GPT_NEOX,
    model_types=["gptneox"],
    metadata={"general.architecture": "gptneox"},
    sizes={
        "gptneox.block_count": "num_hidden_layers",
        "gptneox.context_length": "max_position_embeddings",
        "gptneox.embedding_length": "hidden_size",
        "gptneox.feed_forward_length": "intermediate_size",
        "gptneox.attention.head_count": "num_attention_heads",
        "gptneox.rope.dimension_count": "rotary_dim",
        "gptneox.use_parallel_residual": "use_parallel_residual",
    },
    proof=PROOF,
    rows=[
        Row("final_layer_norm.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("layers.{i}.attention.dense.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.attention.dense.weight", "blk.{i}.attn_output.weight"),
        Row(
            "layers.{i}.attention.query_key_value.bias",
            "blk.{i}.attn_qkv.bias",
            Regroup((1, 1, 1), "num_attention_heads", undo=True),
            optional=True,
        ),
        Row(
            "layers.{i}.attention.query_key_value.weight",
            "blk.{i}.attn_qkv.weight",
            Regroup((1, 1, 1), "num_attention_heads", undo=True),
        ),
        Row(
            "layers.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"
        ),
        Row(
            "layers.{i}.mlp.dense_4h_to_h.{part:weight|bias}", "blk.{i}.ffn_down.{part:weight|bias}"
        ),
        Row("layers.{i}.mlp.dense_h_to_4h.{part:weight|bias}", "blk.{i}.ffn_up.{part:weight|bias}"),
        Row(
            "layers.{i}.post_attention_layernorm.{part:weight|bias}",
            "blk.{i}.ffn_norm.{part:weight|bias}",
        ),
        Row("embed_in.weight", "token_embd.weight"),
        Row("embed_out.weight", "output.weight", tied="embed_in.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

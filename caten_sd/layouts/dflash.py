"""The architecture dflash, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"

HF_MUSE_GLIMMER_ASSISTANT = Layout(
    "hf-muse_glimmer_assistant",
    architecture="muse_glimmer_assistant",
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("encoder.fc.weight"),
        Row("encoder.output_norm_enc.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_DFLASH = Layout(
    "gguf-dflash",
    base=HF_MUSE_GLIMMER_ASSISTANT,
    model_types=["dflash"],
    metadata={"general.architecture": "dflash"},
    sizes={
        "dflash.block_count": "num_hidden_layers",
        "dflash.context_length": "max_position_embeddings",
        "dflash.embedding_length": "hidden_size",
        "dflash.feed_forward_length": "intermediate_size",
        "dflash.attention.head_count": "num_attention_heads",
        "dflash.attention.head_count_kv": "num_key_value_heads",
        "dflash.attention.key_length": "head_dim",
        "dflash.attention.sliding_window": "sliding_window",
        "dflash.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "dflash.block_size": "block_size or 16",
    },
    proof=PROOF,
    rows=[
        Row("encoder.fc.weight", "fc.weight"),
        Row("encoder.output_norm_enc.weight", "enc.output_norm.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architectures phi2 and phi3, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_PHI = Layout(
    "hf-phi",
    architecture="phi",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("lm_head.bias", prefixed=False),
        Row("final_layernorm.{part:weight|bias}"),
        Row("layers.{i}.input_layernorm.{part:weight|bias}"),
        Row("layers.{i}.mlp.fc1.bias"),
        Row("layers.{i}.mlp.fc2.bias"),
        Row("layers.{i}.self_attn.dense.{part:weight|bias}"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.fc1.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.fc2.weight", shape=("hidden_size", "intermediate_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_PHI2 = Layout(
    "gguf-phi2",
    base=HF_PHI,
    model_types=["phi2"],
    metadata={"general.architecture": "phi2"},
    sizes={
        "phi2.block_count": "num_hidden_layers",
        "phi2.context_length": "max_position_embeddings",
        "phi2.embedding_length": "hidden_size",
        "phi2.attention.head_count": "num_attention_heads",
        "phi2.feed_forward_length": "4*hidden_size",
        "phi2.attention.head_count_kv": "num_attention_heads",
        "phi2.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row("lm_head.bias", "output.bias"),
        Row("final_layernorm.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row(
            "layers.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"
        ),
        Row("layers.{i}.mlp.fc1.bias", "blk.{i}.ffn_up.bias"),
        Row("layers.{i}.mlp.fc2.bias", "blk.{i}.ffn_down.bias"),
        Row(
            "layers.{i}.self_attn.dense.{part:weight|bias}",
            "blk.{i}.attn_output.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.fc1.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.mlp.fc2.weight", "blk.{i}.ffn_down.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_PHI3 = Layout(
    "hf-phi3",
    architecture="phi3",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate_up_proj.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.qkv_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_PHI3 = Layout(
    "gguf-phi3",
    base=HF_PHI3,
    model_types=["phi3"],
    metadata={"general.architecture": "phi3"},
    sizes={
        "phi3.block_count": "num_hidden_layers",
        "phi3.context_length": "max_position_embeddings",
        "phi3.embedding_length": "hidden_size",
        "phi3.feed_forward_length": "intermediate_size",
        "phi3.attention.head_count": "num_attention_heads",
        "phi3.attention.head_count_kv": "num_key_value_heads",
        "phi3.rope.scaling.original_context_length": "original_max_position_embeddings",
        "phi3.rope.dimension_count": "rotary_dim",
        "phi3.attention.sliding_window": "sliding_window",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.qkv_proj.weight", "blk.{i}.attn_qkv.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

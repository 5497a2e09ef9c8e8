"""The architectures olmo, olmo2 and olmoe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_OLMO = Layout(
    "hf-olmo",
    architecture="olmo",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_OLMO = Layout(
    "gguf-olmo",
    base=HF_OLMO,
    model_types=["olmo"],
    metadata={"general.architecture": "olmo"},
    sizes={
        "olmo.block_count": "num_hidden_layers",
        "olmo.context_length": "max_position_embeddings",
        "olmo.embedding_length": "hidden_size",
        "olmo.feed_forward_length": "intermediate_size",
        "olmo.attention.head_count": "num_attention_heads",
        "olmo.attention.head_count_kv": "num_key_value_heads",
        "olmo.attention.layer_norm_epsilon": 1e-05,
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.self_attn.k_proj.weight",
            "blk.{i}.attn_k.weight",
            Rotary("num_key_value_heads", to="pairs"),
        ),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row(
            "layers.{i}.self_attn.q_proj.weight",
            "blk.{i}.attn_q.weight",
            Rotary("num_attention_heads", to="pairs"),
        ),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
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


HF_OLMO2 = extend(
    HF_OLMO,
    "hf-olmo2",
    architecture="olmo2/olmo3",
    proof=PROOF,
    rows=[
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("norm.weight"),
    ],
)


HF_OLMO3 = extend(
    HF_OLMO2,
    "hf-olmo3",
    base=HF_OLMO2,
    model_types=["olmo3"],
    proof=PROOF,
)


GGUF_OLMO2 = extend(
    GGUF_OLMO,
    "gguf-olmo2",
    base=HF_OLMO2,
    model_types=["olmo2"],
    metadata={"general.architecture": "olmo2"},
    proof=PROOF,
    sizes={
        "olmo2.attention.sliding_window": "sliding_window",
        "olmo2.attention.sliding_window_pattern": "layer_types == sliding_attention",
    },
    rows=[
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("norm.weight", "output_norm.weight"),
    ],
)


HF_OLMOE = Layout(
    "hf-olmoe",
    architecture="olmoe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight", shape=("intermediate_size", "hidden_size")
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_OLMOE = Layout(
    "gguf-olmoe",
    base=HF_OLMOE,
    model_types=["olmoe"],
    metadata={"general.architecture": "olmoe"},
    sizes={
        "olmoe.block_count": "num_hidden_layers",
        "olmoe.context_length": "max_position_embeddings",
        "olmoe.embedding_length": "hidden_size",
        "olmoe.feed_forward_length": "intermediate_size",
        "olmoe.attention.head_count": "num_attention_heads",
        "olmoe.attention.head_count_kv": "num_key_value_heads",
        "olmoe.expert_count": "num_experts",
        "olmoe.expert_used_count": "num_experts_per_tok",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
        ),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", "blk.{i}.ffn_up_exps.weight", Stack("e")),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architecture granite_swa, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GRANITE_SWA = Layout(
    "hf-granite_swa",
    architecture="granite_swa/granitemoe_swa",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.sinks"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.block_sparse_moe.experts.down_proj", optional=True),
        Row("layers.{i}.block_sparse_moe.experts.gate_up_proj", optional=True),
        Row("layers.{i}.block_sparse_moe.router.weight", optional=True),
        Row("layers.{i}.shared_mlp.input_linear.weight", optional=True),
        Row("layers.{i}.shared_mlp.output_linear.weight", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.mlp.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.mlp.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_GRANITEMOE_SWA = extend(
    HF_GRANITE_SWA,
    "hf-granitemoe_swa",
    base=HF_GRANITE_SWA,
    model_types=["granitemoe_swa"],
    proof=PROOF,
)


GGUF_GRANITE_SWA = Layout(
    "gguf-granite_swa",
    base=HF_GRANITE_SWA,
    model_types=["granite_swa"],
    metadata={"general.architecture": "granite_swa"},
    sizes={
        "granite_swa.block_count": "num_hidden_layers",
        "granite_swa.context_length": "max_position_embeddings",
        "granite_swa.embedding_length": "hidden_size",
        "granite_swa.feed_forward_length": "intermediate_size",
        "granite_swa.attention.head_count": "num_attention_heads",
        "granite_swa.attention.head_count_kv": "num_key_value_heads",
        "granite_swa.vocab_size": "vocab_size",
        "granite_swa.rope.dimension_count": "rotary_dim",
        "granite_swa.attention.scale": "attention_multiplier",
        "granite_swa.embedding_scale": "embedding_multiplier",
        "granite_swa.residual_scale": "residual_multiplier",
        "granite_swa.logit_scale": "logits_scaling",
        "granite_swa.attention.sliding_window": "sliding_window",
        "granite_swa.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "granite_swa.expert_shared_feed_forward_length": "shared_intermediate_size",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
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
        Row("layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.block_sparse_moe.experts.down_proj",
            "blk.{i}.ffn_down_exps.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.block_sparse_moe.experts.gate_up_proj",
            "blk.{i}.ffn_gate_up_exps.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.block_sparse_moe.router.weight",
            "blk.{i}.ffn_gate_inp.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.shared_mlp.input_linear.weight",
            "blk.{i}.ffn_up_shexp.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.shared_mlp.output_linear.weight",
            "blk.{i}.ffn_down_shexp.weight",
            optional=True,
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", optional=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", optional=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", optional=True),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

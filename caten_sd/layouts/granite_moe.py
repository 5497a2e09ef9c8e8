"""The architecture granitemoe, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GRANITEMOE = Layout(
    "hf-granitemoe",
    architecture="granitemoe/granitemoeshared",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.output_linear.weight"),
        Row("layers.{i}.block_sparse_moe.router.layer.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.block_sparse_moe.input_linear.weight"),
        Row("layers.{i}.shared_mlp.output_linear.weight", optional=True),
        Row("layers.{i}.shared_mlp.input_linear.weight", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_GRANITEMOESHARED = extend(
    HF_GRANITEMOE,
    "hf-granitemoeshared",
    base=HF_GRANITEMOE,
    model_types=["granitemoeshared"],
    proof=PROOF,
)


GGUF_GRANITEMOE = Layout(
    "gguf-granitemoe",
    base=HF_GRANITEMOE,
    model_types=["granitemoe"],
    metadata={"general.architecture": "granitemoe"},
    sizes={
        "granitemoe.block_count": "num_hidden_layers",
        "granitemoe.context_length": "max_position_embeddings",
        "granitemoe.embedding_length": "hidden_size",
        "granitemoe.feed_forward_length": "intermediate_size",
        "granitemoe.attention.head_count": "num_attention_heads",
        "granitemoe.attention.head_count_kv": "num_key_value_heads",
        "granitemoe.expert_count": "num_local_experts",
        "granitemoe.expert_used_count": "num_experts_per_tok",
        "granitemoe.vocab_size": "vocab_size",
        "granitemoe.rope.dimension_count": "rotary_dim",
        "granitemoe.attention.scale": "attention_multiplier",
        "granitemoe.embedding_scale": "embedding_multiplier",
        "granitemoe.residual_scale": "residual_multiplier",
        "granitemoe.logit_scale": "logits_scaling",
        "granitemoe.expert_shared_feed_forward_length": "shared_intermediate_size",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.output_linear.weight", "blk.{i}.ffn_down_exps.weight"),
        Row("layers.{i}.block_sparse_moe.router.layer.weight", "blk.{i}.ffn_gate_inp.weight"),
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
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.block_sparse_moe.input_linear.weight",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Split((1, 1), axis=1),
        ),
        Row(
            "layers.{i}.shared_mlp.output_linear.weight",
            "blk.{i}.ffn_down_shexp.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.shared_mlp.input_linear.weight",
            ("blk.{i}.ffn_gate_shexp.weight", "blk.{i}.ffn_up_shexp.weight"),
            Split((1, 1), axis=0),
            optional=True,
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architecture llama4, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Transpose
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_LLAMA4_TEXT = Layout(
    "hf-llama4_text",
    architecture="llama4_text",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.feed_forward.experts.down_proj", in_some_layers=True),
        Row("layers.{i}.feed_forward.router.weight", in_some_layers=True),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.feed_forward.experts.gate_up_proj", in_some_layers=True),
        Row("layers.{i}.feed_forward.down_proj.weight", optional=True),
        Row("layers.{i}.feed_forward.gate_proj.weight", optional=True),
        Row("layers.{i}.feed_forward.up_proj.weight", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.feed_forward.shared_expert.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.shared_expert.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.shared_expert.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_LLAMA4 = Layout(
    "gguf-llama4",
    base=HF_LLAMA4_TEXT,
    model_types=["llama4"],
    metadata={"general.architecture": "llama4"},
    sizes={
        "llama4.block_count": "num_hidden_layers",
        "llama4.context_length": "max_position_embeddings",
        "llama4.embedding_length": "hidden_size",
        "llama4.attention.head_count": "num_attention_heads",
        "llama4.attention.head_count_kv": "num_key_value_heads",
        "llama4.attention.key_length": "head_dim",
        "llama4.expert_count": "num_local_experts",
        "llama4.expert_used_count": "num_experts_per_tok",
        "llama4.vocab_size": "vocab_size",
        "llama4.rope.dimension_count": "rotary_dim",
        "llama4.interleave_moe_layer_step": "interleave_moe_layer_step",
        "llama4.expert_feed_forward_length": "intermediate_size",
        "llama4.feed_forward_length": "intermediate_size_mlp",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.feed_forward.experts.down_proj",
            "blk.{i}.ffn_down_exps.weight",
            Transpose((0, 2, 1)),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.router.weight",
            "blk.{i}.ffn_gate_inp.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.feed_forward.experts.gate_up_proj",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Chain(Split((1, 1), axis=2), Transpose((0, 2, 1))),
            in_some_layers=True,
        ),
        Row("layers.{i}.feed_forward.down_proj.weight", "blk.{i}.ffn_down.weight", optional=True),
        Row("layers.{i}.feed_forward.gate_proj.weight", "blk.{i}.ffn_gate.weight", optional=True),
        Row("layers.{i}.feed_forward.up_proj.weight", "blk.{i}.ffn_up.weight", optional=True),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row(
            "layers.{i}.feed_forward.shared_expert.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.shared_expert.gate_proj.weight",
            "blk.{i}.ffn_gate_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.shared_expert.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            in_some_layers=True,
        ),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

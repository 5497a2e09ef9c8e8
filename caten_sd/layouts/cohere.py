"""The architectures command-r, cohere2 and cohere2moe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_COHERE = Layout(
    "hf-cohere",
    architecture="cohere",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", optional=True),
        Row("layers.{i}.self_attn.k_norm.weight", optional=True),
        Row("layers.{i}.self_attn.q_norm.weight", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_COMMAND_R = Layout(
    "gguf-command-r",
    base=HF_COHERE,
    model_types=["command-r"],
    metadata={"general.architecture": "command-r"},
    sizes={
        "command-r.block_count": "num_hidden_layers",
        "command-r.rope.scaling.type": 'scaling_type or "none"',
        "command-r.context_length": "max_position_embeddings",
        "command-r.embedding_length": "hidden_size",
        "command-r.feed_forward_length": "intermediate_size",
        "command-r.attention.head_count": "num_attention_heads",
        "command-r.attention.head_count_kv": "num_key_value_heads",
        "command-r.logit_scale": "logit_scale",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", optional=True),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", optional=True),
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


HF_COHERE2 = extend(
    HF_COHERE,
    "hf-cohere2",
    architecture="cohere2",
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_norm.weight",
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_norm.weight",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
)


GGUF_COHERE2 = extend(
    GGUF_COMMAND_R,
    "gguf-cohere2",
    base=HF_COHERE2,
    model_types=["cohere2"],
    metadata={"general.architecture": "cohere2"},
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_norm.weight",
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_norm.weight",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
    sizes={
        "cohere2.attention.key_length": "head_dim",
        "cohere2.vocab_size": "vocab_size",
        "cohere2.attention.sliding_window": "sliding_window",
        "cohere2.rope.dimension_count": "rotary_dim",
    },
)


HF_COHERE2_MOE = Layout(
    "hf-cohere2_moe",
    architecture="cohere2_moe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.down_proj.weight", optional=True),
        Row("layers.{i}.mlp.gate_proj.weight", optional=True),
        Row("layers.{i}.mlp.up_proj.weight", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.shared_experts.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_COHERE2MOE = extend(
    GGUF_COHERE2,
    "gguf-cohere2moe",
    base=HF_COHERE2_MOE,
    model_types=["cohere2moe"],
    metadata={"general.architecture": "cohere2moe"},
    proof=PROOF,
    sizes={
        "cohere2moe.expert_count": "num_experts",
        "cohere2moe.expert_used_count": "num_experts_per_tok",
        "cohere2moe.feed_forward_length": "prefix_dense_intermediate_size",
        "cohere2moe.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "cohere2moe.expert_feed_forward_length": "intermediate_size",
        "cohere2moe.expert_weights_norm": "norm_topk_prob",
        "cohere2moe.expert_shared_count": "num_shared_experts",
        "cohere2moe.expert_shared_feed_forward_length": "intermediate_size",
        "cohere2moe.leading_dense_block_count": "leading_dense_layers or 0",
    },
    rows=[
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", optional=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", optional=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", optional=True),
        Row(
            "layers.{i}.mlp.shared_experts.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.gate_proj.weight",
            "blk.{i}.ffn_gate_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
    ],
)

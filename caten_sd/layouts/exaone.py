"""The architectures exaone4 and exaone-moe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_EXAONE4 = Layout(
    "hf-exaone4",
    architecture="exaone4/exaone4_5",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_EXAONE4_5 = extend(
    HF_EXAONE4,
    "hf-exaone4_5",
    base=HF_EXAONE4,
    model_types=["exaone4_5"],
    prefixes=("model.language_model.",),
    proof=PROOF,
    rows=[Drop("model.visual.{path...}", "not a part of the language model", prefixed=False)],
)


GGUF_EXAONE4 = Layout(
    "gguf-exaone4",
    base=HF_EXAONE4,
    model_types=["exaone4"],
    metadata={"general.architecture": "exaone4"},
    sizes={
        "exaone4.block_count": "num_hidden_layers",
        "exaone4.context_length": "max_position_embeddings",
        "exaone4.embedding_length": "hidden_size",
        "exaone4.feed_forward_length": "intermediate_size",
        "exaone4.attention.head_count": "num_attention_heads",
        "exaone4.attention.head_count_kv": "num_key_value_heads",
        "exaone4.vocab_size": "vocab_size",
        "exaone4.attention.sliding_window": "sliding_window",
        "exaone4.attention.sliding_window_pattern": "layer_types == sliding_attention",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
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


HF_EXAONE_MOE = Layout(
    "hf-exaone_moe",
    architecture="exaone_moe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.mlp.e_score_correction_bias", in_some_layers=True),
        Row("layers.{i}.mlp.gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.up_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", in_some_layers=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_EXAONE_MOE = Layout(
    "gguf-exaone-moe",
    base=HF_EXAONE_MOE,
    model_types=["exaone-moe"],
    metadata={"general.architecture": "exaone-moe"},
    sizes={
        "exaone-moe.block_count": "num_hidden_layers",
        "exaone-moe.context_length": "max_position_embeddings",
        "exaone-moe.embedding_length": "hidden_size",
        "exaone-moe.feed_forward_length": "intermediate_size",
        "exaone-moe.expert_feed_forward_length": "moe_intermediate_size",
        "exaone-moe.attention.head_count": "num_attention_heads",
        "exaone-moe.attention.head_count_kv": "num_key_value_heads",
        "exaone-moe.expert_count": "num_experts",
        "exaone-moe.expert_used_count": "num_experts_per_tok",
        "exaone-moe.vocab_size": "vocab_size",
        "exaone-moe.attention.sliding_window": "sliding_window",
        "exaone-moe.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "exaone-moe.expert_shared_count": "num_shared_experts",
        "exaone-moe.expert_shared_feed_forward_length": "moe_intermediate_size*num_shared_experts",
        "exaone-moe.expert_weights_scale": "routed_scaling_factor",
        "exaone-moe.expert_gating_func": 2,
        "exaone-moe.expert_weights_norm": "norm_topk_prob",
        "exaone-moe.leading_dense_block_count": "leading_dense_layers",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row(
            "layers.{i}.mlp.e_score_correction_bias",
            "blk.{i}.exp_probs_b.bias",
            in_some_layers=True,
        ),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
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
        Row("norm.weight", "output_norm.weight"),
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
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architecture dots1, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_DOTS1 = Layout(
    "hf-dots1",
    architecture="dots1",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "n_routed_experts"},
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
        Row("layers.{i}.mlp.gate.e_score_correction_bias", in_some_layers=True),
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


GGUF_DOTS1 = Layout(
    "gguf-dots1",
    base=HF_DOTS1,
    model_types=["dots1"],
    metadata={"general.architecture": "dots1"},
    sizes={
        "dots1.block_count": "num_hidden_layers",
        "dots1.context_length": "max_position_embeddings",
        "dots1.embedding_length": "hidden_size",
        "dots1.feed_forward_length": "intermediate_size",
        "dots1.expert_feed_forward_length": "moe_intermediate_size",
        "dots1.attention.head_count": "num_attention_heads",
        "dots1.attention.head_count_kv": "num_key_value_heads",
        "dots1.expert_count": "n_routed_experts",
        "dots1.expert_used_count": "num_experts_per_tok",
        "dots1.leading_dense_block_count": "leading_dense_layers",
        "dots1.expert_shared_count": "n_shared_experts",
        "dots1.expert_weights_scale": "routed_scaling_factor",
        "dots1.expert_weights_norm": "norm_topk_prob",
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
            "layers.{i}.mlp.gate.e_score_correction_bias",
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

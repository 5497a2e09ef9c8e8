"""The architecture step35, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Offset
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_STEP3P7 = Layout(
    "hf-step3p7",
    architecture="step3p7",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.g_proj.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.moe.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.moe.gate.weight", in_some_layers=True),
        Row("layers.{i}.moe.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.moe.router_bias", in_some_layers=True),
        Row("layers.{i}.moe.up_proj.weight", in_some_layers=True),
        Row("layers.{i}.share_expert.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.share_expert.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.share_expert.up_proj.weight", in_some_layers=True),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("norm.weight"),
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
        Row("vision_model.{path...}", prefixed=False, optional=True),
        Row("vit_large_projector.weight", prefixed=False, optional=True),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_STEP35 = Layout(
    "gguf-step35",
    base=HF_STEP3P7,
    model_types=["step35"],
    metadata={"general.architecture": "step35"},
    sizes={
        "step35.block_count": "num_hidden_layers",
        "step35.context_length": "max_position_embeddings",
        "step35.embedding_length": "hidden_size",
        "step35.feed_forward_length": "intermediate_size",
        "step35.expert_feed_forward_length": "moe_intermediate_size",
        "step35.attention.key_length": "head_dim",
        "step35.expert_count": "n_routed_experts",
        "step35.expert_used_count": "num_experts_per_tok",
        "step35.attention.sliding_window": "sliding_window",
        "step35.attention.sliding_window_pattern": "layer_types == sliding_attention",
        "step35.expert_weights_scale": "moe_router_scaling_factor",
        "step35.expert_shared_feed_forward_length": "share_expert_dim",
        "step35.leading_dense_block_count": "leading_dense_layers",
        "step35.moe_every_n_layers": "moe_every_n_layers or 1",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.g_proj.weight", "blk.{i}.attn_gate.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("layers.{i}.moe.down_proj.weight", "blk.{i}.ffn_down_exps.weight", in_some_layers=True),
        Row("layers.{i}.moe.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
        Row("layers.{i}.moe.gate_proj.weight", "blk.{i}.ffn_gate_exps.weight", in_some_layers=True),
        Row("layers.{i}.moe.router_bias", "blk.{i}.exp_probs_b.bias", in_some_layers=True),
        Row("layers.{i}.moe.up_proj.weight", "blk.{i}.ffn_up_exps.weight", in_some_layers=True),
        Row(
            "layers.{i}.share_expert.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.share_expert.gate_proj.weight",
            "blk.{i}.ffn_gate_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.share_expert.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", Offset(1.0)),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", Offset(1.0)),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", Offset(1.0)),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Lacks("vision_model.{path...}", "GGUF keeps this part of the model in a file of its own"),
        Lacks("vit_large_projector.weight", "llama.cpp has no use for it"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

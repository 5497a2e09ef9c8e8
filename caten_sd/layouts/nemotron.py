"""The architectures nemotron and nemotron_h_moe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp, Offset
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_NEMOTRON = Layout(
    "hf-nemotron",
    architecture="nemotron",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.bias"),
        Row("layers.{i}.post_attention_layernorm.bias"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.bias"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_NEMOTRON = Layout(
    "gguf-nemotron",
    base=HF_NEMOTRON,
    model_types=["nemotron"],
    metadata={"general.architecture": "nemotron"},
    sizes={
        "nemotron.block_count": "num_hidden_layers",
        "nemotron.context_length": "max_position_embeddings",
        "nemotron.embedding_length": "hidden_size",
        "nemotron.feed_forward_length": "intermediate_size",
        "nemotron.attention.head_count": "num_attention_heads",
        "nemotron.attention.head_count_kv": "num_key_value_heads",
        "nemotron.attention.key_length": "head_dim",
        "nemotron.vocab_size": "vocab_size",
        "nemotron.attention.layer_norm_epsilon": "norm_eps",
        "nemotron.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.bias", "blk.{i}.attn_norm.bias"),
        Row("layers.{i}.post_attention_layernorm.bias", "blk.{i}.ffn_norm.bias"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.bias", "output_norm.bias"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", Offset(1.0)),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_NEMOTRON_H = Layout(
    "hf-nemotron_h",
    architecture="nemotron_h",
    prefixes=("backbone.", ""),
    counts={"i": "num_hidden_layers", "e": "n_routed_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.mixer.D", in_some_layers=True),
        Row("layers.{i}.mixer.conv1d.bias", in_some_layers=True),
        Row("layers.{i}.mixer.conv1d.weight", in_some_layers=True),
        Row("layers.{i}.mixer.dt_bias", in_some_layers=True),
        Row("layers.{i}.mixer.in_proj.weight", in_some_layers=True),
        Row("layers.{i}.mixer.norm.weight", in_some_layers=True),
        Row("layers.{i}.mixer.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.norm.weight"),
        Row("layers.{i}.mixer.gate.e_score_correction_bias", optional=True),
        Row("layers.{i}.mixer.gate.weight", optional=True),
        Row("layers.{i}.mixer.shared_experts.down_proj.weight", optional=True),
        Row("layers.{i}.mixer.shared_experts.up_proj.weight", optional=True),
        Row("layers.{i}.mixer.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.mixer.o_proj.weight", in_some_layers=True),
        Row("layers.{i}.mixer.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.mixer.v_proj.weight", in_some_layers=True),
        Row("norm_f.weight"),
        Row("layers.{i}.mixer.experts.{e}.down_proj.weight", optional=True),
        Row("layers.{i}.mixer.experts.{e}.up_proj.weight", optional=True),
        Row("layers.{i}.mixer.A_log", in_some_layers=True),
        Row("embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mixer.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mixer.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embeddings.weight", untied=UNTIED),
    ],
)


GGUF_NEMOTRON_H_MOE = Layout(
    "gguf-nemotron_h_moe",
    base=HF_NEMOTRON_H,
    model_types=["nemotron_h_moe"],
    metadata={"general.architecture": "nemotron_h_moe"},
    sizes={
        "nemotron_h_moe.embedding_length": "hidden_size",
        "nemotron_h_moe.expert_feed_forward_length": "moe_intermediate_size",
        "nemotron_h_moe.attention.head_count": "num_attention_heads",
        "nemotron_h_moe.attention.key_length": "head_dim",
        "nemotron_h_moe.expert_count": "n_routed_experts",
        "nemotron_h_moe.expert_used_count": "num_experts_per_tok",
        "nemotron_h_moe.ssm.conv_kernel": "conv_kernel",
        "nemotron_h_moe.ssm.group_count": "n_groups",
        "nemotron_h_moe.ssm.state_size": "ssm_state_size",
        "nemotron_h_moe.vocab_size": "vocab_size",
        "nemotron_h_moe.block_count": "num_hidden_layers",
        "nemotron_h_moe.rope.dimension_count": "rotary_dim",
        "nemotron_h_moe.ssm.inner_size": "mamba_num_heads*mamba_head_dim",
        "nemotron_h_moe.ssm.time_step_rank": "mamba_num_heads",
        "nemotron_h_moe.expert_shared_feed_forward_length": "moe_shared_expert_intermediate_size",
        "nemotron_h_moe.expert_shared_count": "n_shared_experts",
        "nemotron_h_moe.expert_weights_norm": "norm_topk_prob",
        "nemotron_h_moe.expert_weights_scale": "routed_scaling_factor",
        "nemotron_h_moe.attention.head_count_kv": (
            "num_key_value_heads if layer_types == full_attention"
        ),
        "nemotron_h_moe.feed_forward_length": "moe_intermediate_size if layer_types == moe",
        "nemotron_h_moe.rope.scaling.finetuned": False,
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.mixer.D", "blk.{i}.ssm_d", Rearrange("a -> a 1"), in_some_layers=True),
        Row("layers.{i}.mixer.conv1d.bias", "blk.{i}.ssm_conv1d.bias", in_some_layers=True),
        Row(
            "layers.{i}.mixer.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Rearrange("a 1 b -> a b"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mixer.dt_bias", "blk.{i}.ssm_dt.bias", in_some_layers=True),
        Row("layers.{i}.mixer.in_proj.weight", "blk.{i}.ssm_in.weight", in_some_layers=True),
        Row(
            "layers.{i}.mixer.norm.weight",
            "blk.{i}.ssm_norm.weight",
            Rearrange("(a b) -> a b", a="n_groups"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mixer.out_proj.weight", "blk.{i}.ssm_out.weight", in_some_layers=True),
        Row("layers.{i}.norm.weight", "blk.{i}.attn_norm.weight"),
        Row(
            "layers.{i}.mixer.gate.e_score_correction_bias",
            "blk.{i}.exp_probs_b.bias",
            optional=True,
        ),
        Row("layers.{i}.mixer.gate.weight", "blk.{i}.ffn_gate_inp.weight", optional=True),
        Row(
            "layers.{i}.mixer.shared_experts.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.mixer.shared_experts.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            optional=True,
        ),
        Row(
            "layers.{i}.mixer.k_proj.weight",
            "blk.{i}.attn_k.weight",
            Rotary("num_key_value_heads", to="pairs"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mixer.o_proj.weight", "blk.{i}.attn_output.weight", in_some_layers=True),
        Row(
            "layers.{i}.mixer.q_proj.weight",
            "blk.{i}.attn_q.weight",
            Rotary("num_attention_heads", to="pairs"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mixer.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("norm_f.weight", "output_norm.weight"),
        Row(
            "layers.{i}.mixer.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            optional=True,
        ),
        Row(
            "layers.{i}.mixer.experts.{e}.up_proj.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            optional=True,
        ),
        Row(
            "layers.{i}.mixer.A_log",
            "blk.{i}.ssm_a",
            Chain(NegExp(), Rearrange("a -> a 1")),
            in_some_layers=True,
        ),
        Row("embeddings.weight", "token_embd.weight"),
        Row("layers.{i}.mixer.down_proj.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.mixer.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row("lm_head.weight", "output.weight", tied="embeddings.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

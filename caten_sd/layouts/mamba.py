"""The architectures mamba, mamba2 and jamba, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_MAMBA = Layout(
    "hf-mamba",
    architecture="mamba/falcon_mamba",
    prefixes=("backbone.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.mixer.D"),
        Row("layers.{i}.mixer.conv1d.bias"),
        Row("layers.{i}.mixer.conv1d.weight"),
        Row("layers.{i}.mixer.dt_proj.{part:weight|bias}"),
        Row("layers.{i}.mixer.in_proj.weight"),
        Row("layers.{i}.mixer.out_proj.weight"),
        Row("layers.{i}.mixer.x_proj.weight"),
        Row("layers.{i}.norm.weight"),
        Row("norm_f.weight"),
        Row("layers.{i}.mixer.A_log"),
        Row("embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embeddings.weight", untied=UNTIED),
    ],
)


HF_FALCON_MAMBA = extend(
    HF_MAMBA,
    "hf-falcon_mamba",
    base=HF_MAMBA,
    model_types=["falcon_mamba"],
    proof=PROOF,
)


GGUF_MAMBA = Layout(
    "gguf-mamba",
    base=HF_MAMBA,
    model_types=["mamba"],
    metadata={"general.architecture": "mamba"},
    sizes={
        "mamba.block_count": "num_hidden_layers",
        "mamba.embedding_length": "hidden_size",
        "mamba.ssm.conv_kernel": "conv_kernel",
        "mamba.ssm.state_size": "state_size",
        "mamba.context_length": 1048576,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.ssm.inner_size": "expand*hidden_size",
        "mamba.ssm.time_step_rank": "time_step_rank",
        "mamba.attention.layer_norm_rms_epsilon": "layer_norm_epsilon",
        "mamba.ssm.dt_b_c_rms": "model_type == falcon_mamba",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.mixer.D", "blk.{i}.ssm_d"),
        Row("layers.{i}.mixer.conv1d.bias", "blk.{i}.ssm_conv1d.bias"),
        Row(
            "layers.{i}.mixer.conv1d.weight", "blk.{i}.ssm_conv1d.weight", Rearrange("a 1 b -> a b")
        ),
        Row("layers.{i}.mixer.dt_proj.{part:weight|bias}", "blk.{i}.ssm_dt.{part:weight|bias}"),
        Row("layers.{i}.mixer.in_proj.weight", "blk.{i}.ssm_in.weight"),
        Row("layers.{i}.mixer.out_proj.weight", "blk.{i}.ssm_out.weight"),
        Row("layers.{i}.mixer.x_proj.weight", "blk.{i}.ssm_x.weight"),
        Row("layers.{i}.norm.weight", "blk.{i}.attn_norm.weight"),
        Row("norm_f.weight", "output_norm.weight"),
        Row("layers.{i}.mixer.A_log", "blk.{i}.ssm_a", NegExp()),
        Row("embeddings.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embeddings.weight"),
    ],
)


HF_MAMBA2 = extend(
    HF_MAMBA,
    "hf-mamba2",
    architecture="mamba2",
    proof=PROOF,
    without=["layers.{i}.mixer.dt_proj.{part:weight|bias}", "layers.{i}.mixer.x_proj.weight"],
    rows=[Row("layers.{i}.mixer.dt_bias"), Row("layers.{i}.mixer.norm.weight")],
)


GGUF_MAMBA2 = extend(
    GGUF_MAMBA,
    "gguf-mamba2",
    base=HF_MAMBA2,
    model_types=["mamba2"],
    metadata={"general.architecture": "mamba2"},
    proof=PROOF,
    without=["layers.{i}.mixer.dt_proj.{part:weight|bias}", "layers.{i}.mixer.x_proj.weight"],
    sizes={"mamba2.ssm.group_count": "n_groups", "mamba2.ssm.time_step_rank": "num_heads"},
    rows=[
        Row("layers.{i}.mixer.D", "blk.{i}.ssm_d", Rearrange("a -> a 1")),
        Row("layers.{i}.mixer.dt_bias", "blk.{i}.ssm_dt.bias"),
        Row(
            "layers.{i}.mixer.norm.weight",
            "blk.{i}.ssm_norm.weight",
            Rearrange("(a b) -> a b", a="n_groups"),
        ),
        Row("layers.{i}.mixer.A_log", "blk.{i}.ssm_a", Chain(NegExp(), Rearrange("a -> a 1"))),
    ],
)


HF_JAMBA = Layout(
    "hf-jamba",
    architecture="jamba",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("final_layernorm.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mamba.D", in_some_layers=True),
        Row("layers.{i}.mamba.b_layernorm.weight", in_some_layers=True),
        Row("layers.{i}.mamba.c_layernorm.weight", in_some_layers=True),
        Row("layers.{i}.mamba.conv1d.bias", in_some_layers=True),
        Row("layers.{i}.mamba.conv1d.weight", in_some_layers=True),
        Row("layers.{i}.mamba.dt_layernorm.weight", in_some_layers=True),
        Row("layers.{i}.mamba.dt_proj.{part:weight|bias}", in_some_layers=True),
        Row("layers.{i}.mamba.in_proj.weight", in_some_layers=True),
        Row("layers.{i}.mamba.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.mamba.x_proj.weight", in_some_layers=True),
        Row("layers.{i}.pre_ff_layernorm.weight"),
        Row("layers.{i}.feed_forward.router.weight", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("layers.{i}.mamba.A_log", in_some_layers=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.feed_forward.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            optional=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_JAMBA = Layout(
    "gguf-jamba",
    base=HF_JAMBA,
    model_types=["jamba"],
    metadata={"general.architecture": "jamba"},
    sizes={
        "jamba.block_count": "num_hidden_layers",
        "jamba.context_length": "max_position_embeddings",
        "jamba.embedding_length": "hidden_size",
        "jamba.feed_forward_length": "intermediate_size",
        "jamba.attention.head_count": "num_attention_heads",
        "jamba.expert_count": "num_experts",
        "jamba.expert_used_count": "num_experts_per_tok",
        "jamba.ssm.conv_kernel": "mamba_d_conv",
        "jamba.ssm.state_size": "mamba_d_state",
        "jamba.ssm.inner_size": "mamba_expand*hidden_size",
        "jamba.ssm.time_step_rank": "mamba_dt_rank",
        "jamba.attention.head_count_kv": "num_key_value_heads if layer_types == full_attention",
    },
    proof=PROOF,
    rows=[
        Row("final_layernorm.weight", "output_norm.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mamba.D", "blk.{i}.ssm_d", in_some_layers=True),
        Row(
            "layers.{i}.mamba.b_layernorm.weight", "blk.{i}.ssm_b_norm.weight", in_some_layers=True
        ),
        Row(
            "layers.{i}.mamba.c_layernorm.weight", "blk.{i}.ssm_c_norm.weight", in_some_layers=True
        ),
        Row("layers.{i}.mamba.conv1d.bias", "blk.{i}.ssm_conv1d.bias", in_some_layers=True),
        Row(
            "layers.{i}.mamba.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Rearrange("a 1 b -> a b"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mamba.dt_layernorm.weight",
            "blk.{i}.ssm_dt_norm.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mamba.dt_proj.{part:weight|bias}",
            "blk.{i}.ssm_dt.{part:weight|bias}",
            in_some_layers=True,
        ),
        Row("layers.{i}.mamba.in_proj.weight", "blk.{i}.ssm_in.weight", in_some_layers=True),
        Row("layers.{i}.mamba.out_proj.weight", "blk.{i}.ssm_out.weight", in_some_layers=True),
        Row("layers.{i}.mamba.x_proj.weight", "blk.{i}.ssm_x.weight", in_some_layers=True),
        Row("layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.feed_forward.router.weight", "blk.{i}.ffn_gate_inp.weight", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row(
            "layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", in_some_layers=True
        ),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("layers.{i}.mamba.A_log", "blk.{i}.ssm_a", NegExp(), in_some_layers=True),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row(
            "layers.{i}.feed_forward.down_proj.weight",
            "blk.{i}.ffn_down.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.gate_proj.weight",
            "blk.{i}.ffn_gate.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.feed_forward.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row(
            "layers.{i}.feed_forward.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            optional=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
            optional=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.up_proj.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            optional=True,
        ),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

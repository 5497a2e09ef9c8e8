"""The architectures granitehybrid, granitehybrid-dense and granitehybrid-bamba, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GRANITEMOEHYBRID = Layout(
    "hf-granitemoehybrid",
    architecture="granitemoehybrid",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.output_linear.weight"),
        Row("layers.{i}.block_sparse_moe.router.layer.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mamba.D", in_some_layers=True),
        Row("layers.{i}.mamba.conv1d.bias", in_some_layers=True),
        Row("layers.{i}.mamba.conv1d.weight", in_some_layers=True),
        Row("layers.{i}.mamba.dt_bias", in_some_layers=True),
        Row("layers.{i}.mamba.in_proj.weight", in_some_layers=True),
        Row("layers.{i}.mamba.norm.weight", in_some_layers=True),
        Row("layers.{i}.mamba.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.shared_mlp.output_linear.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("layers.{i}.block_sparse_moe.input_linear.weight"),
        Row("layers.{i}.shared_mlp.input_linear.weight"),
        Row("layers.{i}.mamba.A_log", in_some_layers=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_GRANITEHYBRID = Layout(
    "gguf-granitehybrid",
    base=HF_GRANITEMOEHYBRID,
    model_types=["granitehybrid"],
    metadata={"general.architecture": "granitehybrid"},
    sizes={
        "granitehybrid.block_count": "num_hidden_layers",
        "granitehybrid.embedding_length": "hidden_size",
        "granitehybrid.feed_forward_length": "intermediate_size",
        "granitehybrid.attention.head_count": "num_attention_heads",
        "granitehybrid.expert_count": "num_local_experts",
        "granitehybrid.expert_used_count": "num_experts_per_tok",
        "granitehybrid.ssm.conv_kernel": "mamba_d_conv",
        "granitehybrid.ssm.group_count": "mamba_n_groups",
        "granitehybrid.ssm.state_size": "mamba_d_state",
        "granitehybrid.ssm.time_step_rank": "mamba_n_heads",
        "granitehybrid.vocab_size": "vocab_size",
        "granitehybrid.rope.dimension_count": "rotary_dim",
        "granitehybrid.attention.scale": "attention_multiplier",
        "granitehybrid.embedding_scale": "embedding_multiplier",
        "granitehybrid.residual_scale": "residual_multiplier",
        "granitehybrid.logit_scale": "logits_scaling",
        "granitehybrid.expert_shared_feed_forward_length": "shared_intermediate_size",
        "granitehybrid.ssm.inner_size": "mamba_n_heads*mamba_d_head",
        "granitehybrid.attention.head_count_kv": (
            "num_key_value_heads if layer_types == full_attention"
        ),
        "granitehybrid.rope.scaling.finetuned": "attention_only",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.block_sparse_moe.output_linear.weight", "blk.{i}.ffn_down_exps.weight"),
        Row("layers.{i}.block_sparse_moe.router.layer.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mamba.D", "blk.{i}.ssm_d", Rearrange("a -> a 1"), in_some_layers=True),
        Row("layers.{i}.mamba.conv1d.bias", "blk.{i}.ssm_conv1d.bias", in_some_layers=True),
        Row(
            "layers.{i}.mamba.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Rearrange("a 1 b -> a b"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mamba.dt_bias", "blk.{i}.ssm_dt.bias", in_some_layers=True),
        Row("layers.{i}.mamba.in_proj.weight", "blk.{i}.ssm_in.weight", in_some_layers=True),
        Row(
            "layers.{i}.mamba.norm.weight",
            "blk.{i}.ssm_norm.weight",
            Rearrange("(a b) -> a b", a="mamba_n_groups"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mamba.out_proj.weight", "blk.{i}.ssm_out.weight", in_some_layers=True),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.shared_mlp.output_linear.weight", "blk.{i}.ffn_down_shexp.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row(
            "layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", in_some_layers=True
        ),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.block_sparse_moe.input_linear.weight",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Split((1, 1), axis=1),
        ),
        Row(
            "layers.{i}.shared_mlp.input_linear.weight",
            ("blk.{i}.ffn_gate_shexp.weight", "blk.{i}.ffn_up_shexp.weight"),
            Split((1, 1), axis=0),
        ),
        Row(
            "layers.{i}.mamba.A_log",
            "blk.{i}.ssm_a",
            Chain(NegExp(), Rearrange("a -> a 1")),
            in_some_layers=True,
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_GRANITEMOEHYBRID_DENSE = extend(
    HF_GRANITEMOEHYBRID,
    "hf-granitemoehybrid-dense",
    architecture="granitemoehybrid",
    model_types=["granitemoehybrid"],
    proof=PROOF,
    without=[
        "layers.{i}.block_sparse_moe.input_linear.weight",
        "layers.{i}.block_sparse_moe.output_linear.weight",
        "layers.{i}.block_sparse_moe.router.layer.weight",
    ],
)


GGUF_GRANITEHYBRID_DENSE = extend(
    GGUF_GRANITEHYBRID,
    "gguf-granitehybrid-dense",
    base=HF_GRANITEMOEHYBRID_DENSE,
    model_types=["granitehybrid"],
    metadata={"general.architecture": "granitehybrid"},
    proof=PROOF,
    without=[
        "layers.{i}.block_sparse_moe.input_linear.weight",
        "layers.{i}.block_sparse_moe.output_linear.weight",
        "layers.{i}.block_sparse_moe.router.layer.weight",
    ],
    rows=[
        Row("layers.{i}.shared_mlp.output_linear.weight", "blk.{i}.ffn_down.weight"),
        Row(
            "layers.{i}.shared_mlp.input_linear.weight",
            ("blk.{i}.ffn_gate.weight", "blk.{i}.ffn_up.weight"),
            Split((1, 1), axis=0),
        ),
    ],
)


HF_BAMBA = extend(
    HF_GRANITEMOEHYBRID_DENSE,
    "hf-bamba",
    architecture="bamba",
    proof=PROOF,
    without=[
        "layers.{i}.post_attention_layernorm.weight",
        "layers.{i}.shared_mlp.input_linear.weight",
        "layers.{i}.shared_mlp.output_linear.weight",
        "norm.weight",
    ],
    rows=[
        Row("final_layernorm.weight"),
        Row("layers.{i}.pre_ff_layernorm.weight"),
        Row("layers.{i}.feed_forward.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.feed_forward.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.feed_forward.up_proj.weight", shape=("intermediate_size", "hidden_size")),
    ],
)


GGUF_GRANITEHYBRID_BAMBA = extend(
    GGUF_GRANITEHYBRID_DENSE,
    "gguf-granitehybrid-bamba",
    base=HF_BAMBA,
    model_types=["granitehybrid"],
    metadata={"general.architecture": "granitehybrid"},
    proof=PROOF,
    without=[
        "layers.{i}.post_attention_layernorm.weight",
        "layers.{i}.shared_mlp.input_linear.weight",
        "layers.{i}.shared_mlp.output_linear.weight",
        "norm.weight",
    ],
    sizes={
        "granitehybrid.context_length": "max_position_embeddings",
        "granitehybrid.rope.dimension_count": "head_dim",
        "granitehybrid.rope.scaling.finetuned": True,
    },
    rows=[
        Row("final_layernorm.weight", "output_norm.weight"),
        Row("layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row(
            "layers.{i}.self_attn.k_proj.weight",
            "blk.{i}.attn_k.weight",
            Rotary("num_key_value_heads", to="pairs"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.self_attn.q_proj.weight",
            "blk.{i}.attn_q.weight",
            Rotary("num_attention_heads", to="pairs"),
            in_some_layers=True,
        ),
        Row("layers.{i}.feed_forward.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.feed_forward.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.feed_forward.up_proj.weight", "blk.{i}.ffn_up.weight"),
    ],
)

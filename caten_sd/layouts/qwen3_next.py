"""The architecture qwen3next, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split, Stack
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp, Offset
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_QWEN3_NEXT = Layout(
    "hf-qwen3_next",
    architecture="qwen3_next",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.linear_attn.conv1d.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.dt_bias", in_some_layers=True),
        Row("layers.{i}.linear_attn.in_proj_ba.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.norm.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight"),
        Row("layers.{i}.linear_attn.in_proj_qkvz.weight", in_some_layers=True),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.linear_attn.A_log", in_some_layers=True),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_norm.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_QWEN3NEXT = Layout(
    "gguf-qwen3next",
    base=HF_QWEN3_NEXT,
    model_types=["qwen3next"],
    metadata={"general.architecture": "qwen3next"},
    sizes={
        "qwen3next.block_count": "num_hidden_layers",
        "qwen3next.context_length": "max_position_embeddings",
        "qwen3next.embedding_length": "hidden_size",
        "qwen3next.feed_forward_length": "intermediate_size",
        "qwen3next.expert_feed_forward_length": "moe_intermediate_size",
        "qwen3next.expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        "qwen3next.attention.head_count": "num_attention_heads",
        "qwen3next.attention.head_count_kv": "num_key_value_heads",
        "qwen3next.attention.key_length": "head_dim",
        "qwen3next.expert_count": "num_experts",
        "qwen3next.expert_used_count": "num_experts_per_tok",
        "qwen3next.ssm.conv_kernel": "linear_conv_kernel_dim",
        "qwen3next.ssm.group_count": "linear_num_key_heads",
        "qwen3next.ssm.state_size": "linear_key_head_dim",
        "qwen3next.ssm.time_step_rank": "linear_num_value_heads",
        "qwen3next.ssm.inner_size": "linear_value_head_dim*linear_num_value_heads",
        "qwen3next.attention.recurrent_layers": "layer_types == linear_attention",
        "qwen3next.full_attention_interval": "full_attention_interval or 4",
        "qwen3next.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.linear_attn.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Rearrange("a 1 b -> a b"),
            in_some_layers=True,
        ),
        Row("layers.{i}.linear_attn.dt_bias", "blk.{i}.ssm_dt.bias", in_some_layers=True),
        Row(
            "layers.{i}.linear_attn.in_proj_ba.weight", "blk.{i}.ssm_ba.weight", in_some_layers=True
        ),
        Row("layers.{i}.linear_attn.norm.weight", "blk.{i}.ssm_norm.weight", in_some_layers=True),
        Row(
            "layers.{i}.linear_attn.out_proj.weight", "blk.{i}.ssm_out.weight", in_some_layers=True
        ),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row(
            "layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", in_some_layers=True
        ),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
        ),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", "blk.{i}.ffn_up_exps.weight", Stack("e")),
        Row(
            "layers.{i}.linear_attn.in_proj_qkvz.weight",
            ("blk.{i}.attn_qkv.weight", "blk.{i}.attn_gate.weight"),
            Chain(
                Regroup(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    "linear_num_key_heads",
                    undo=True,
                ),
                Split(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim+linear_num_value_heads*linear_value_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
            ),
            in_some_layers=True,
        ),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row("layers.{i}.linear_attn.A_log", "blk.{i}.ssm_a", NegExp(), in_some_layers=True),
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "blk.{i}.post_attention_norm.weight",
            Offset(1.0),
        ),
        Row(
            "layers.{i}.self_attn.k_norm.weight",
            "blk.{i}.attn_k_norm.weight",
            Offset(1.0),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.self_attn.q_norm.weight",
            "blk.{i}.attn_q_norm.weight",
            Offset(1.0),
            in_some_layers=True,
        ),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

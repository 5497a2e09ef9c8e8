"""The architecture falcon-h1, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_FALCON_H1 = Layout(
    "hf-falcon_h1",
    architecture="falcon_h1",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("final_layernorm.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mamba.D"),
        Row("layers.{i}.mamba.conv1d.bias"),
        Row("layers.{i}.mamba.conv1d.weight"),
        Row("layers.{i}.mamba.dt_bias"),
        Row("layers.{i}.mamba.in_proj.weight"),
        Row("layers.{i}.mamba.out_proj.weight"),
        Row("layers.{i}.pre_ff_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.mamba.A_log"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.feed_forward.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.feed_forward.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.feed_forward.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_FALCON_H1 = Layout(
    "gguf-falcon-h1",
    base=HF_FALCON_H1,
    model_types=["falcon-h1"],
    metadata={"general.architecture": "falcon-h1"},
    sizes={
        "falcon-h1.block_count": "num_hidden_layers",
        "falcon-h1.context_length": "max_position_embeddings",
        "falcon-h1.embedding_length": "hidden_size",
        "falcon-h1.feed_forward_length": "intermediate_size",
        "falcon-h1.attention.head_count": "num_attention_heads",
        "falcon-h1.attention.head_count_kv": "num_key_value_heads",
        "falcon-h1.attention.key_length": "head_dim",
        "falcon-h1.ssm.conv_kernel": "mamba_d_conv",
        "falcon-h1.ssm.group_count": "mamba_n_groups",
        "falcon-h1.ssm.inner_size": "mamba_d_ssm",
        "falcon-h1.ssm.state_size": "mamba_d_state",
        "falcon-h1.ssm.time_step_rank": "mamba_n_heads",
        "falcon-h1.vocab_size": "vocab_size",
    },
    proof=PROOF,
    rows=[
        Row("final_layernorm.weight", "output_norm.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mamba.D", "blk.{i}.ssm_d", Rearrange("a -> a 1")),
        Row("layers.{i}.mamba.conv1d.bias", "blk.{i}.ssm_conv1d.bias"),
        Row(
            "layers.{i}.mamba.conv1d.weight", "blk.{i}.ssm_conv1d.weight", Rearrange("a 1 b -> a b")
        ),
        Row("layers.{i}.mamba.dt_bias", "blk.{i}.ssm_dt.bias"),
        Row("layers.{i}.mamba.in_proj.weight", "blk.{i}.ssm_in.weight"),
        Row("layers.{i}.mamba.out_proj.weight", "blk.{i}.ssm_out.weight"),
        Row("layers.{i}.pre_ff_layernorm.weight", "blk.{i}.ffn_norm"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("layers.{i}.mamba.A_log", "blk.{i}.ssm_a", Chain(NegExp(), Rearrange("a -> a 1"))),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.feed_forward.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.feed_forward.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.feed_forward.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

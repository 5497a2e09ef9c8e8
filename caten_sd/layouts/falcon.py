"""falcon: the names of Hugging Face, which are the canonical ones, and of GGUF."""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, NegExp
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_FALCON = Layout(
    "hf-falcon",
    architecture="falcon",
    prefixes=("transformer.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("h.{i}.ln_attn.{part:weight|bias}"),
        Row("h.{i}.ln_mlp.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.weight"),
        Row("h.{i}.mlp.dense_h_to_4h.weight"),
        Row("h.{i}.self_attention.dense.weight"),
        Row("h.{i}.self_attention.query_key_value.weight"),
        Row("ln_f.{part:weight|bias}"),
        Row("word_embeddings.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="word_embeddings.weight", untied=UNTIED),
    ],
)


GGUF_FALCON = Layout(
    "gguf-falcon",
    base=HF_FALCON.canonical,
    metadata={"general.architecture": "falcon"},
    sizes={
        "falcon.block_count": "num_hidden_layers",
        "falcon.embedding_length": "hidden_size",
        "falcon.attention.head_count": "num_attention_heads",
        "falcon.attention.head_count_kv": "num_kv_heads",
    },
    proof=PROOF,
    rows=[
        Row("h.{i}.ln_attn.{part:weight|bias}", "blk.{i}.attn_norm_2.{part:weight|bias}"),
        Row("h.{i}.ln_mlp.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight"),
        Row("h.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight"),
        Row("h.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight"),
        Row(
            "h.{i}.self_attention.query_key_value.weight",
            "blk.{i}.attn_qkv.weight",
            Regroup(
                ("num_attention_heads", "num_kv_heads", "num_kv_heads"), "num_kv_heads", undo=True
            ),
        ),
        Row("ln_f.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("word_embeddings.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="word_embeddings.weight"),
    ],
)


HF_FALCON_7B = extend(
    HF_FALCON,
    "hf-falcon-7b",
    architecture="falcon",
    model_types=["falcon"],
    proof=PROOF,
    without=["h.{i}.ln_attn.{part:weight|bias}", "h.{i}.ln_mlp.{part:weight|bias}"],
    rows=[Row("h.{i}.input_layernorm.{part:weight|bias}")],
)


GGUF_FALCON_7B = extend(
    GGUF_FALCON,
    "gguf-falcon-7b",
    base=HF_FALCON_7B.canonical,
    model_types=["falcon"],
    metadata={"general.architecture": "falcon"},
    proof=PROOF,
    without=["h.{i}.ln_attn.{part:weight|bias}", "h.{i}.ln_mlp.{part:weight|bias}"],
    rows=[
        Row("h.{i}.input_layernorm.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight"),
    ],
)


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
    ],
)


GGUF_FALCON_H1 = Layout(
    "gguf-falcon-h1",
    base=HF_FALCON_H1.canonical,
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
    ],
)

"""The architecture qwen35, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Concat, Split
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Identity, NegExp, Offset
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_QWEN3_5_TEXT = Layout(
    "hf-qwen3_5_text",
    architecture="qwen3_5_text/qwen3_5/minicpmv4_6",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.linear_attn.conv1d.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.dt_bias", in_some_layers=True),
        Row("layers.{i}.linear_attn.in_proj_a.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.in_proj_b.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.in_proj_qkv.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.in_proj_z.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.norm.weight", in_some_layers=True),
        Row("layers.{i}.linear_attn.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.o_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.linear_attn.A_log", in_some_layers=True),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_norm.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_QWEN3_5 = extend(
    HF_QWEN3_5_TEXT,
    "hf-qwen3_5",
    base=HF_QWEN3_5_TEXT,
    model_types=["qwen3_5"],
    prefixes=("model.language_model.",),
    proof=PROOF,
    rows=[Drop("model.visual.{path...}", "not a part of the language model", prefixed=False)],
)


HF_MINICPMV4_6 = extend(
    HF_QWEN3_5_TEXT,
    "hf-minicpmv4_6",
    base=HF_QWEN3_5_TEXT,
    model_types=["minicpmv4_6"],
    prefixes=("model.language_model.",),
    proof=PROOF,
    rows=[
        Drop(
            "model.merger.mlp.{i}.linear_1.bias", "not a part of the language model", prefixed=False
        ),
        Drop(
            "model.merger.mlp.{i}.linear_1.weight",
            "not a part of the language model",
            prefixed=False,
        ),
        Drop(
            "model.merger.mlp.{i}.linear_2.bias", "not a part of the language model", prefixed=False
        ),
        Drop(
            "model.merger.mlp.{i}.linear_2.weight",
            "not a part of the language model",
            prefixed=False,
        ),
        Drop(
            "model.merger.mlp.{i}.pre_norm.bias", "not a part of the language model", prefixed=False
        ),
        Drop(
            "model.merger.mlp.{i}.pre_norm.weight",
            "not a part of the language model",
            prefixed=False,
        ),
        Drop("model.vision_tower.{path...}", "not a part of the language model", prefixed=False),
    ],
)


GGUF_QWEN35 = Layout(
    "gguf-qwen35",
    base=HF_QWEN3_5_TEXT,
    model_types=["qwen35"],
    metadata={"general.architecture": "qwen35"},
    sizes={
        "qwen35.block_count": "num_hidden_layers",
        "qwen35.context_length": "max_position_embeddings",
        "qwen35.embedding_length": "hidden_size",
        "qwen35.feed_forward_length": "intermediate_size",
        "qwen35.attention.head_count": "num_attention_heads",
        "qwen35.attention.head_count_kv": "num_key_value_heads",
        "qwen35.attention.key_length": "head_dim",
        "qwen35.ssm.conv_kernel": "linear_conv_kernel_dim",
        "qwen35.ssm.group_count": "linear_num_key_heads",
        "qwen35.ssm.state_size": "linear_key_head_dim",
        "qwen35.ssm.time_step_rank": "linear_num_value_heads",
        "qwen35.ssm.inner_size": "linear_value_head_dim*linear_num_value_heads",
        "qwen35.attention.recurrent_layers": "layer_types == linear_attention",
        "qwen35.full_attention_interval": "full_attention_interval or 4",
        "qwen35.rope.dimension_count": "rotary_dim",
        "qwen35.rope.dimension_sections": "mrope_sections or [11, 11, 10, 0]",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.linear_attn.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Chain(
                Rearrange("a 1 b -> a b"),
                Split(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Rearrange(
                        "(a b c) d -> (b a c) d",
                        a="linear_num_key_heads",
                        c="linear_value_head_dim",
                    ),
                ),
                Concat(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.linear_attn.dt_bias",
            "blk.{i}.ssm_dt.bias",
            Rearrange("(a b) -> (b a)", a="linear_num_key_heads"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_a.weight",
            "blk.{i}.ssm_alpha.weight",
            Rearrange("(a b) c -> (b a) c", a="linear_num_key_heads"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_b.weight",
            "blk.{i}.ssm_beta.weight",
            Rearrange("(a b) c -> (b a) c", a="linear_num_key_heads"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_qkv.weight",
            "blk.{i}.attn_qkv.weight",
            Chain(
                Split(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Rearrange(
                        "(a b c) d -> (b a c) d",
                        a="linear_num_key_heads",
                        c="linear_value_head_dim",
                    ),
                ),
                Concat(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_z.weight",
            "blk.{i}.attn_gate.weight",
            Rearrange(
                "(a b c) d -> (b a c) d", a="linear_num_key_heads", c="linear_value_head_dim"
            ),
            in_some_layers=True,
        ),
        Row("layers.{i}.linear_attn.norm.weight", "blk.{i}.ssm_norm.weight", in_some_layers=True),
        Row(
            "layers.{i}.linear_attn.out_proj.weight",
            "blk.{i}.ssm_out.weight",
            Rearrange(
                "a (b c d) -> a (c b d)", b="linear_num_key_heads", d="linear_value_head_dim"
            ),
            in_some_layers=True,
        ),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row(
            "layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight", in_some_layers=True
        ),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row(
            "layers.{i}.linear_attn.A_log",
            "blk.{i}.ssm_a",
            Chain(NegExp(), Rearrange("(a b) -> (b a)", a="linear_num_key_heads")),
            in_some_layers=True,
        ),
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
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architectures ernie4_5, ernie4_5-moe and paddleocr, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_ERNIE4_5 = Layout(
    "hf-ernie4_5",
    architecture="ernie4_5",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
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


GGUF_ERNIE4_5 = Layout(
    "gguf-ernie4_5",
    base=HF_ERNIE4_5,
    model_types=["ernie4_5"],
    metadata={"general.architecture": "ernie4_5"},
    sizes={
        "ernie4_5.block_count": "num_hidden_layers",
        "ernie4_5.context_length": "max_position_embeddings",
        "ernie4_5.embedding_length": "hidden_size",
        "ernie4_5.feed_forward_length": "intermediate_size",
        "ernie4_5.attention.head_count": "num_attention_heads",
        "ernie4_5.attention.head_count_kv": "num_key_value_heads",
        "ernie4_5.attention.key_length": "head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
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


HF_ERNIE4_5_MOE = Layout(
    "hf-ernie4_5_moe",
    architecture="ernie4_5_moe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "moe_num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.mlp.gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.moe_statics.e_score_correction_bias", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.up_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight", in_some_layers=True),
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


GGUF_ERNIE4_5_MOE = extend(
    GGUF_ERNIE4_5,
    "gguf-ernie4_5-moe",
    base=HF_ERNIE4_5_MOE,
    model_types=["ernie4_5-moe"],
    metadata={"general.architecture": "ernie4_5-moe"},
    proof=PROOF,
    sizes={
        "ernie4_5-moe.expert_feed_forward_length": "moe_intermediate_size",
        "ernie4_5-moe.expert_count": "moe_num_experts",
        "ernie4_5-moe.expert_used_count": "moe_k",
        "ernie4_5-moe.interleave_moe_layer_step": "moe_layer_interval",
        "ernie4_5-moe.leading_dense_block_count": "moe_layer_start_index",
        "ernie4_5-moe.expert_shared_count": "moe_num_shared_experts",
        "ernie4_5-moe.expert_shared_feed_forward_length": (
            "moe_intermediate_size*moe_num_shared_experts"
        ),
    },
    rows=[
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
        Row(
            "layers.{i}.mlp.moe_statics.e_score_correction_bias",
            "blk.{i}.exp_probs_b.bias",
            in_some_layers=True,
        ),
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
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
    ],
)


HF_PADDLEOCR_VL = extend(
    HF_ERNIE4_5,
    "hf-paddleocr_vl",
    architecture="paddleocr_vl",
    proof=PROOF,
    rows=[
        Row("mlp_AR.{path...}", prefixed=False, optional=True),
        Row("visual.{path...}", prefixed=False, optional=True),
    ],
)


GGUF_PADDLEOCR = extend(
    GGUF_ERNIE4_5,
    "gguf-paddleocr",
    base=HF_PADDLEOCR_VL,
    model_types=["paddleocr"],
    metadata={"general.architecture": "paddleocr"},
    proof=PROOF,
    rows=[
        Lacks("mlp_AR.{path...}", "GGUF keeps this part of the model in a file of its own"),
        Lacks("visual.{path...}", "GGUF keeps this part of the model in a file of its own"),
    ],
)

"""The architectures lfm2 and lfm2moe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_LFM2 = Layout(
    "hf-lfm2",
    architecture="lfm2",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("embedding_norm.weight"),
        Row("layers.{i}.conv.conv.weight", in_some_layers=True),
        Row("layers.{i}.conv.in_proj.weight", in_some_layers=True),
        Row("layers.{i}.conv.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.w1.weight"),
        Row("layers.{i}.feed_forward.w2.weight"),
        Row("layers.{i}.feed_forward.w3.weight"),
        Row("layers.{i}.ffn_norm.weight"),
        Row("layers.{i}.operator_norm.weight"),
        Row("layers.{i}.self_attn.k_layernorm.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.k_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.out_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_layernorm.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.q_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", in_some_layers=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_LFM2 = Layout(
    "gguf-lfm2",
    base=HF_LFM2,
    model_types=["lfm2"],
    metadata={"general.architecture": "lfm2"},
    sizes={
        "lfm2.block_count": "num_hidden_layers",
        "lfm2.context_length": "max_position_embeddings",
        "lfm2.embedding_length": "hidden_size",
        "lfm2.attention.head_count": "num_attention_heads",
        "lfm2.vocab_size": "vocab_size",
        "lfm2.shortconv.l_cache": "conv_L_cache",
        "lfm2.attention.head_count_kv": "num_key_value_heads if layer_types == full_attention",
        "lfm2.feed_forward_length": "feed_forward_size",
    },
    proof=PROOF,
    rows=[
        Row("embedding_norm.weight", "token_embd_norm.weight"),
        Row(
            "layers.{i}.conv.conv.weight",
            "blk.{i}.shortconv.conv.weight",
            Rearrange("a 1 b -> a b"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.conv.in_proj.weight",
            "blk.{i}.shortconv.in_proj.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.conv.out_proj.weight",
            "blk.{i}.shortconv.out_proj.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.feed_forward.w1.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.feed_forward.w2.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.feed_forward.w3.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.ffn_norm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.operator_norm.weight", "blk.{i}.attn_norm.weight"),
        Row(
            "layers.{i}.self_attn.k_layernorm.weight",
            "blk.{i}.attn_k_norm.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", in_some_layers=True),
        Row(
            "layers.{i}.self_attn.out_proj.weight",
            "blk.{i}.attn_output.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.self_attn.q_layernorm.weight",
            "blk.{i}.attn_q_norm.weight",
            in_some_layers=True,
        ),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight", in_some_layers=True),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_LFM2_MOE = extend(
    HF_LFM2,
    "hf-lfm2_moe",
    architecture="lfm2_moe",
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.feed_forward.w1.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.w2.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.w3.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.expert_bias", in_some_layers=True),
        Row("layers.{i}.feed_forward.gate.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.experts.{e}.w1.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.experts.{e}.w2.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.experts.{e}.w3.weight", in_some_layers=True),
    ],
)


GGUF_LFM2MOE = extend(
    GGUF_LFM2,
    "gguf-lfm2moe",
    base=HF_LFM2_MOE,
    model_types=["lfm2moe"],
    metadata={"general.architecture": "lfm2moe"},
    proof=PROOF,
    sizes={
        "lfm2moe.feed_forward_length": "intermediate_size",
        "lfm2moe.expert_feed_forward_length": "moe_intermediate_size",
        "lfm2moe.expert_count": "num_experts",
        "lfm2moe.expert_used_count": "num_experts_per_tok",
        "lfm2moe.leading_dense_block_count": "num_dense_layers",
        "lfm2moe.expert_gating_func": 2,
    },
    rows=[
        Row("layers.{i}.feed_forward.w1.weight", "blk.{i}.ffn_gate.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.w2.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.w3.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row("layers.{i}.feed_forward.expert_bias", "blk.{i}.exp_probs_b.bias", in_some_layers=True),
        Row(
            "layers.{i}.feed_forward.gate.weight",
            "blk.{i}.ffn_gate_inp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.w1.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.w2.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.feed_forward.experts.{e}.w3.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
    ],
)

"""The architectures gemma, gemma2 and gemma3, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Offset
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GEMMA = Layout(
    "hf-gemma",
    architecture="gemma",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("norm.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", optional=True),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_GEMMA = Layout(
    "gguf-gemma",
    base=HF_GEMMA,
    model_types=["gemma"],
    metadata={"general.architecture": "gemma"},
    sizes={
        "gemma.block_count": "num_hidden_layers",
        "gemma.context_length": "max_position_embeddings",
        "gemma.embedding_length": "hidden_size",
        "gemma.feed_forward_length": "intermediate_size",
        "gemma.attention.head_count": "num_attention_heads",
        "gemma.attention.head_count_kv": "num_key_value_heads",
        "gemma.attention.key_length": "head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", Offset(1.0)),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
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


HF_GEMMA2 = extend(
    HF_GEMMA,
    "hf-gemma2",
    architecture="gemma2",
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
    rows=[
        Row("layers.{i}.post_feedforward_layernorm.weight"),
        Row("layers.{i}.pre_feedforward_layernorm.weight"),
    ],
)


GGUF_GEMMA2 = extend(
    GGUF_GEMMA,
    "gguf-gemma2",
    base=HF_GEMMA2,
    model_types=["gemma2"],
    metadata={"general.architecture": "gemma2"},
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
    sizes={
        "gemma2.attn_logit_softcapping": "attn_logit_softcapping",
        "gemma2.final_logit_softcapping": "final_logit_softcapping",
        "gemma2.attention.sliding_window": "sliding_window",
    },
    rows=[
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "blk.{i}.post_attention_norm.weight",
            Offset(1.0),
        ),
        Row(
            "layers.{i}.post_feedforward_layernorm.weight",
            "blk.{i}.post_ffw_norm.weight",
            Offset(1.0),
        ),
        Row("layers.{i}.pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight", Offset(1.0)),
    ],
)


HF_GEMMA3_TEXT = extend(
    HF_GEMMA2,
    "hf-gemma3_text",
    architecture="gemma3_text/gemma3",
    proof=PROOF,
    rows=[Row("layers.{i}.self_attn.k_norm.weight"), Row("layers.{i}.self_attn.q_norm.weight")],
)


HF_GEMMA3 = extend(
    HF_GEMMA3_TEXT,
    "hf-gemma3",
    base=HF_GEMMA3_TEXT,
    model_types=["gemma3"],
    prefixes=("language_model.model.",),
    proof=PROOF,
    rows=[
        Drop("multi_modal_projector.{path...}", "not a part of the language model", prefixed=False),
        Drop("vision_tower.{path...}", "not a part of the language model", prefixed=False),
    ],
)


GGUF_GEMMA3 = extend(
    GGUF_GEMMA2,
    "gguf-gemma3",
    base=HF_GEMMA3_TEXT,
    model_types=["gemma3"],
    metadata={"general.architecture": "gemma3"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", Offset(1.0)),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", Offset(1.0)),
    ],
)


GGUF_GEMMA_EMBEDDING = extend(
    GGUF_GEMMA3,
    "gguf-gemma-embedding",
    base=HF_GEMMA3_TEXT,
    model_types=["gemma-embedding"],
    metadata={"general.architecture": "gemma-embedding"},
    proof=PROOF,
)

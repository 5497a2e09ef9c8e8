"""The architectures qwen3 and qwen3vl, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_QWEN3 = Layout(
    "hf-qwen3",
    architecture="qwen3",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
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


GGUF_QWEN3 = Layout(
    "gguf-qwen3",
    base=HF_QWEN3,
    model_types=["qwen3"],
    metadata={"general.architecture": "qwen3"},
    sizes={
        "qwen3.block_count": "num_hidden_layers",
        "qwen3.context_length": "max_position_embeddings",
        "qwen3.embedding_length": "hidden_size",
        "qwen3.feed_forward_length": "intermediate_size",
        "qwen3.attention.head_count": "num_attention_heads",
        "qwen3.attention.head_count_kv": "num_key_value_heads",
        "qwen3.attention.key_length": "head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
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


HF_QWEN3_VL = extend(
    HF_QWEN3,
    "hf-qwen3_vl",
    architecture="qwen3_vl/qwen3_asr",
    prefixes=("model.language_model.", ""),
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
    rows=[Row("model.visual.{path...}", prefixed=False, optional=True)],
)


HF_QWEN3_ASR = extend(
    HF_QWEN3_VL,
    "hf-qwen3_asr",
    base=HF_QWEN3_VL,
    model_types=["qwen3_asr"],
    proof=PROOF,
    rows=[
        Drop("model.audio_tower.{path...}", "not a part of the language model", prefixed=False),
        Drop(
            "model.multi_modal_projector.{path...}",
            "not a part of the language model",
            prefixed=False,
        ),
    ],
)


GGUF_QWEN3VL = extend(
    GGUF_QWEN3,
    "gguf-qwen3vl",
    base=HF_QWEN3_VL,
    model_types=["qwen3vl"],
    metadata={"general.architecture": "qwen3vl"},
    proof=PROOF,
    without=[
        "layers.{i}.self_attn.k_proj.bias",
        "layers.{i}.self_attn.o_proj.bias",
        "layers.{i}.self_attn.q_proj.bias",
        "layers.{i}.self_attn.v_proj.bias",
    ],
    sizes={"qwen3vl.n_deepstack_layers": "deepstack_layers or 0"},
    rows=[
        Lacks("model.visual.{path...}", "GGUF keeps this part of the model in a file of its own")
    ],
)

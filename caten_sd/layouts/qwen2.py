"""The architectures qwen2 and qwen2vl, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_QWEN2 = Layout(
    "hf-qwen2",
    architecture="qwen2/qwen2_audio/audioflamingo3",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


HF_QWEN2_AUDIO = extend(
    HF_QWEN2,
    "hf-qwen2_audio",
    base=HF_QWEN2,
    model_types=["qwen2_audio"],
    prefixes=("language_model.model.",),
    proof=PROOF,
    rows=[
        Row(
            "lm_head.weight",
            "language_model.lm_head.weight",
            prefixed=False,
            tied="embed_tokens.weight",
            untied=UNTIED,
        ),
        Drop("audio_tower.{path...}", "not a part of the language model", prefixed=False),
        Drop("multi_modal_projector.{path...}", "not a part of the language model", prefixed=False),
    ],
)


HF_AUDIOFLAMINGO3 = extend(
    HF_QWEN2,
    "hf-audioflamingo3",
    base=HF_QWEN2,
    model_types=["audioflamingo3"],
    prefixes=("language_model.model.",),
    proof=PROOF,
    rows=[
        Row(
            "lm_head.weight",
            "language_model.lm_head.weight",
            prefixed=False,
            tied="embed_tokens.weight",
            untied=UNTIED,
        ),
        Drop("audio_tower.{path...}", "not a part of the language model", prefixed=False),
        Drop("multi_modal_projector.{path...}", "not a part of the language model", prefixed=False),
    ],
)


GGUF_QWEN2 = Layout(
    "gguf-qwen2",
    base=HF_QWEN2,
    model_types=["qwen2"],
    metadata={"general.architecture": "qwen2"},
    sizes={
        "qwen2.block_count": "num_hidden_layers",
        "qwen2.context_length": "max_position_embeddings",
        "qwen2.embedding_length": "hidden_size",
        "qwen2.feed_forward_length": "intermediate_size",
        "qwen2.attention.head_count": "num_attention_heads",
        "qwen2.attention.head_count_kv": "num_key_value_heads",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
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


HF_QWEN2_5_VL = extend(
    HF_QWEN2,
    "hf-qwen2_5_vl",
    architecture="qwen2_5_vl",
    proof=PROOF,
    rows=[Row("visual.{path...}", prefixed=False, optional=True)],
)


GGUF_QWEN2VL = extend(
    GGUF_QWEN2,
    "gguf-qwen2vl",
    base=HF_QWEN2_5_VL,
    model_types=["qwen2vl"],
    metadata={"general.architecture": "qwen2vl"},
    proof=PROOF,
    rows=[Lacks("visual.{path...}", "GGUF keeps this part of the model in a file of its own")],
)

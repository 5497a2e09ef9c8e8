"""The architecture starcoder, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GPT_BIGCODE = Layout(
    "hf-gpt_bigcode",
    architecture="gpt_bigcode",
    prefixes=("transformer.", ""),
    counts={"i": "n_layer"},
    only_if={"model_type": "gpt_bigcode"},
    proof=PROOF,
    rows=[
        Row("h.{i}.attn.c_attn.{part:weight|bias}"),
        Row("h.{i}.attn.c_proj.{part:weight|bias}"),
        Row("h.{i}.ln_1.{part:weight|bias}"),
        Row("h.{i}.ln_2.{part:weight|bias}"),
        Row("h.{i}.mlp.c_fc.bias"),
        Row("h.{i}.mlp.c_proj.bias"),
        Row("ln_f.{part:weight|bias}"),
        Row("wpe.weight"),
        Row("h.{i}.mlp.c_fc.weight", shape=("n_inner", "n_embd")),
        Row("h.{i}.mlp.c_proj.weight", shape=("n_embd", "n_inner")),
        Row("wte.weight", shape=("vocab_size", "n_embd")),
        Row("lm_head.weight", prefixed=False, tied="wte.weight", untied=UNTIED),
    ],
)


GGUF_STARCODER = Layout(
    "gguf-starcoder",
    base=HF_GPT_BIGCODE,
    model_types=["starcoder"],
    metadata={"general.architecture": "starcoder"},
    sizes={
        "starcoder.block_count": "n_layer",
        "starcoder.context_length": "n_positions",
        "starcoder.embedding_length": "n_embd",
        "starcoder.attention.head_count": "n_head",
        "starcoder.attention.head_count_kv": 1,
    },
    only_if={"general.architecture": "starcoder"},
    proof=PROOF,
    rows=[
        Row("h.{i}.attn.c_attn.{part:weight|bias}", "blk.{i}.attn_qkv.{part:weight|bias}"),
        Row("h.{i}.attn.c_proj.{part:weight|bias}", "blk.{i}.attn_output.{part:weight|bias}"),
        Row("h.{i}.ln_1.{part:weight|bias}", "blk.{i}.attn_norm.{part:weight|bias}"),
        Row("h.{i}.ln_2.{part:weight|bias}", "blk.{i}.ffn_norm.{part:weight|bias}"),
        Row("h.{i}.mlp.c_fc.bias", "blk.{i}.ffn_up.bias"),
        Row("h.{i}.mlp.c_proj.bias", "blk.{i}.ffn_down.bias"),
        Row("ln_f.{part:weight|bias}", "output_norm.{part:weight|bias}"),
        Row("wpe.weight", "position_embd.weight"),
        Row("h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight"),
        Row("h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("wte.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="wte.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

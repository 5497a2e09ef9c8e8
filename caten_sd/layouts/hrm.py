"""The architecture hrm_text, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_HRM_TEXT = Layout(
    "hf-hrm_text",
    architecture="hrm_text",
    prefixes=("model.", ""),
    counts={"i": "num_layers_per_stack"},
    proof=PROOF,
    rows=[
        Row("H_module.layers.{i}.attn.o_proj.weight"),
        Row("L_module.layers.{i}.attn.o_proj.weight"),
        Row("z_L_init"),
        Row("H_module.layers.{i}.attn.gqkv_proj.weight"),
        Row("H_module.layers.{i}.mlp.gate_up_proj.weight"),
        Row("L_module.layers.{i}.attn.gqkv_proj.weight"),
        Row("L_module.layers.{i}.mlp.gate_up_proj.weight"),
        Row("H_module.layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("L_module.layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
    ],
)


GGUF_HRM_TEXT = Layout(
    "gguf-hrm_text",
    base=HF_HRM_TEXT,
    model_types=["hrm_text"],
    metadata={"general.architecture": "hrm_text"},
    sizes={
        "hrm_text.block_count": "num_hidden_layers",
        "hrm_text.context_length": "max_position_embeddings",
        "hrm_text.embedding_length": "hidden_size",
        "hrm_text.feed_forward_length": "intermediate_size",
        "hrm_text.attention.head_count": "num_attention_heads",
        "hrm_text.attention.key_length": "head_dim",
        "hrm_text.hrm.layers_per_stack": "num_layers_per_stack",
        "hrm_text.rope.dimension_count": "rotary_dim",
        "hrm_text.embedding_scale": "embedding_scale",
        "hrm_text.hrm.h_cycles": "H_cycles",
        "hrm_text.hrm.l_cycles": "L_cycles",
        "hrm_text.hrm.prefix_lm": "prefix_lm",
    },
    proof=PROOF,
    rows=[
        Row(
            "H_module.layers.{i}.attn.o_proj.weight",
            "blk.{i+num_layers_per_stack}.attn_output.weight",
        ),
        Row(
            "L_module.layers.{i}.attn.o_proj.weight",
            "blk.{i}.attn_output.weight",
            where="i < num_layers_per_stack",
        ),
        Row("z_L_init", "hrm.z_l_init"),
        Row(
            "H_module.layers.{i}.attn.gqkv_proj.weight",
            (
                "blk.{i+num_layers_per_stack}.attn_gate.weight",
                "blk.{i+num_layers_per_stack}.attn_q.weight",
                "blk.{i+num_layers_per_stack}.attn_k.weight",
                "blk.{i+num_layers_per_stack}.attn_v.weight",
            ),
            Split((1, 1, 1, 1), axis=0),
        ),
        Row(
            "H_module.layers.{i}.mlp.gate_up_proj.weight",
            (
                "blk.{i+num_layers_per_stack}.ffn_gate.weight",
                "blk.{i+num_layers_per_stack}.ffn_up.weight",
            ),
            Split((1, 1), axis=0),
        ),
        Row(
            "L_module.layers.{i}.attn.gqkv_proj.weight",
            (
                "blk.{i}.attn_gate.weight",
                "blk.{i}.attn_q.weight",
                "blk.{i}.attn_k.weight",
                "blk.{i}.attn_v.weight",
            ),
            Split((1, 1, 1, 1), axis=0),
            where="i < num_layers_per_stack",
        ),
        Row(
            "L_module.layers.{i}.mlp.gate_up_proj.weight",
            ("blk.{i}.ffn_gate.weight", "blk.{i}.ffn_up.weight"),
            Split((1, 1), axis=0),
            where="i < num_layers_per_stack",
        ),
        Row(
            "H_module.layers.{i}.mlp.down_proj.weight",
            "blk.{i+num_layers_per_stack}.ffn_down.weight",
        ),
        Row(
            "L_module.layers.{i}.mlp.down_proj.weight",
            "blk.{i}.ffn_down.weight",
            where="i < num_layers_per_stack",
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

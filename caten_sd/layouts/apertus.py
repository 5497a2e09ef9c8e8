"""The architecture apertus, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_APERTUS = Layout(
    "hf-apertus",
    architecture="apertus",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.attention_layernorm.weight"),
        Row("layers.{i}.feedforward_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Row("layers.{i}.mlp.act_fn.alpha_n", optional=True),
        Row("layers.{i}.mlp.act_fn.alpha_p", optional=True),
        Row("layers.{i}.mlp.act_fn.beta", optional=True),
        Row("layers.{i}.mlp.act_fn.eps", optional=True),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_APERTUS = Layout(
    "gguf-apertus",
    base=HF_APERTUS,
    model_types=["apertus"],
    metadata={"general.architecture": "apertus"},
    sizes={
        "apertus.block_count": "num_hidden_layers",
        "apertus.context_length": "max_position_embeddings",
        "apertus.embedding_length": "hidden_size",
        "apertus.feed_forward_length": "intermediate_size",
        "apertus.attention.head_count": "num_attention_heads",
        "apertus.attention.head_count_kv": "num_key_value_heads",
        "apertus.vocab_size": "vocab_size",
        "apertus.rope.dimension_count": "rotary_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.attention_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Lacks(
            "layers.{i}.mlp.act_fn.alpha_n",
            "a GGUF has it as a number, which is not written: llama.cpp refuses it",
        ),
        Lacks(
            "layers.{i}.mlp.act_fn.alpha_p",
            "a GGUF has it as a number, which is not written: llama.cpp refuses it",
        ),
        Lacks(
            "layers.{i}.mlp.act_fn.beta",
            "a GGUF has it as a number, which is not written: llama.cpp refuses it",
        ),
        Lacks(
            "layers.{i}.mlp.act_fn.eps",
            "a GGUF has it as a number, which is not written: llama.cpp refuses it",
        ),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

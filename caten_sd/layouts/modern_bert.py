"""The architectures modern-bert and eurobert, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"

HF_MODERNBERT = Layout(
    "hf-modernbert",
    architecture="modernbert",
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("embeddings.norm.weight"),
        Row("final_norm.weight"),
        Row("layers.{i}.attn.Wo.weight"),
        Row("layers.{i}.attn.Wqkv.weight"),
        Row("layers.{i}.mlp.Wi.weight"),
        Row("layers.{i}.mlp.Wo.weight"),
        Row("layers.{i}.mlp_norm.weight"),
        Row("layers.{i}.attn_norm.weight", in_some_layers=True),
        Row("embeddings.tok_embeddings.weight", shape=("vocab_size", "hidden_size")),
    ],
)


GGUF_MODERN_BERT = Layout(
    "gguf-modern-bert",
    base=HF_MODERNBERT,
    model_types=["modern-bert"],
    metadata={"general.architecture": "modern-bert"},
    sizes={
        "modern-bert.block_count": "num_hidden_layers",
        "modern-bert.context_length": "max_position_embeddings",
        "modern-bert.embedding_length": "hidden_size",
        "modern-bert.feed_forward_length": "intermediate_size",
        "modern-bert.attention.head_count": "num_attention_heads",
        "modern-bert.vocab_size": "vocab_size",
        "modern-bert.attention.layer_norm_epsilon": "norm_eps",
        "modern-bert.attention.causal": False,
        "modern-bert.attention.sliding_window": "local_attention",
        "modern-bert.hidden_activation": "hidden_activation",
    },
    proof=PROOF,
    rows=[
        Row("embeddings.norm.weight", "token_embd_norm.weight"),
        Row("final_norm.weight", "output_norm.weight"),
        Row("layers.{i}.attn.Wo.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.attn.Wqkv.weight", "blk.{i}.attn_qkv.weight"),
        Row("layers.{i}.mlp.Wi.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.mlp.Wo.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp_norm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.attn_norm.weight", "blk.{i}.attn_norm.weight", in_some_layers=True),
        Row("embeddings.tok_embeddings.weight", "token_embd.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_EUROBERT = Layout(
    "hf-eurobert",
    architecture="eurobert",
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
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_EUROBERT = Layout(
    "gguf-eurobert",
    base=HF_EUROBERT,
    model_types=["eurobert"],
    metadata={"general.architecture": "eurobert"},
    sizes={
        "eurobert.block_count": "num_hidden_layers",
        "eurobert.context_length": "max_position_embeddings",
        "eurobert.embedding_length": "hidden_size",
        "eurobert.feed_forward_length": "intermediate_size",
        "eurobert.attention.head_count": "num_attention_heads",
        "eurobert.attention.head_count_kv": "num_key_value_heads",
        "eurobert.attention.key_length": "head_dim",
        "eurobert.attention.causal": False,
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
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

"""The architectures hunyuan-dense, hunyuan-moe and hunyuan_vl, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_HUNYUAN_V1_DENSE = Layout(
    "hf-hunyuan_v1_dense",
    architecture="hunyuan_v1_dense",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.key_layernorm.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.query_layernorm.weight"),
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


GGUF_HUNYUAN_DENSE = Layout(
    "gguf-hunyuan-dense",
    base=HF_HUNYUAN_V1_DENSE,
    model_types=["hunyuan-dense"],
    metadata={"general.architecture": "hunyuan-dense"},
    sizes={
        "hunyuan-dense.block_count": "num_hidden_layers",
        "hunyuan-dense.context_length": "max_position_embeddings",
        "hunyuan-dense.embedding_length": "hidden_size",
        "hunyuan-dense.feed_forward_length": "intermediate_size",
        "hunyuan-dense.attention.head_count": "num_attention_heads",
        "hunyuan-dense.attention.head_count_kv": "num_key_value_heads",
        "hunyuan-dense.attention.key_length": "head_dim",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.key_layernorm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.query_layernorm.weight", "blk.{i}.attn_q_norm.weight"),
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


HF_HUNYUAN_V1_MOE = Layout(
    "hf-hunyuan_v1_moe",
    architecture="hunyuan_v1_moe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate.wg.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.key_layernorm.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.query_layernorm.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.shared_mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")
        ),
        Row(
            "layers.{i}.mlp.shared_mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")
        ),
        Row("layers.{i}.mlp.shared_mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight", shape=("intermediate_size", "hidden_size")
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_HUNYUAN_MOE = extend(
    GGUF_HUNYUAN_DENSE,
    "gguf-hunyuan-moe",
    base=HF_HUNYUAN_V1_MOE,
    model_types=["hunyuan-moe"],
    metadata={"general.architecture": "hunyuan-moe"},
    proof=PROOF,
    without=[
        "layers.{i}.mlp.down_proj.weight",
        "layers.{i}.mlp.gate_proj.weight",
        "layers.{i}.mlp.up_proj.weight",
    ],
    sizes={
        "hunyuan-moe.expert_count": "num_experts",
        "hunyuan-moe.expert_shared_feed_forward_length": "intermediate_size",
        "hunyuan-moe.expert_feed_forward_length": "intermediate_size",
        "hunyuan-moe.expert_used_count": "moe_topk",
        "hunyuan-moe.expert_shared_count": "num_shared_expert or 1",
    },
    rows=[
        Row("layers.{i}.mlp.gate.wg.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.mlp.shared_mlp.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
        Row("layers.{i}.mlp.shared_mlp.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
        Row("layers.{i}.mlp.shared_mlp.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
        ),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", "blk.{i}.ffn_up_exps.weight", Stack("e")),
    ],
)


HF_HUNYUAN_VL = extend(
    HF_HUNYUAN_V1_DENSE,
    "hf-hunyuan_vl",
    architecture="hunyuan_vl",
    proof=PROOF,
    rows=[Row("vit.{path...}", prefixed=False, optional=True)],
)


GGUF_HUNYUAN_VL = extend(
    GGUF_HUNYUAN_DENSE,
    "gguf-hunyuan_vl",
    base=HF_HUNYUAN_VL,
    model_types=["hunyuan_vl"],
    metadata={"general.architecture": "hunyuan_vl"},
    proof=PROOF,
    rows=[Lacks("vit.{path...}", "GGUF keeps this part of the model in a file of its own")],
)

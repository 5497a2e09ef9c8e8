"""The architectures qwen2moe, qwen3moe and qwen3vlmoe, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split, Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Transpose
from caten_sd.mapping.rows import Drop, Lacks, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_QWEN2_MOE = Layout(
    "hf-qwen2_moe",
    architecture="qwen2_moe",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_QWEN2MOE = Layout(
    "gguf-qwen2moe",
    base=HF_QWEN2_MOE,
    model_types=["qwen2moe"],
    metadata={"general.architecture": "qwen2moe"},
    sizes={
        "qwen2moe.block_count": "num_hidden_layers",
        "qwen2moe.context_length": "max_position_embeddings",
        "qwen2moe.embedding_length": "hidden_size",
        "qwen2moe.feed_forward_length": "intermediate_size",
        "qwen2moe.expert_feed_forward_length": "moe_intermediate_size",
        "qwen2moe.expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        "qwen2moe.attention.head_count": "num_attention_heads",
        "qwen2moe.attention.head_count_kv": "num_key_value_heads",
        "qwen2moe.expert_count": "num_experts",
        "qwen2moe.expert_used_count": "num_experts_per_tok",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", optional=True),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", optional=True),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
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
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_QWEN3_MOE = extend(
    HF_QWEN2_MOE,
    "hf-qwen3_moe",
    architecture="qwen3_moe",
    counts={"i": "num_hidden_layers", "e": "num_local_experts"},
    proof=PROOF,
    without=[
        "layers.{i}.mlp.shared_expert.down_proj.weight",
        "layers.{i}.mlp.shared_expert.gate_proj.weight",
        "layers.{i}.mlp.shared_expert.up_proj.weight",
        "layers.{i}.mlp.shared_expert_gate.weight",
    ],
    rows=[
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.o_proj.bias", optional=True),
    ],
)


GGUF_QWEN3MOE = extend(
    GGUF_QWEN2MOE,
    "gguf-qwen3moe",
    base=HF_QWEN3_MOE,
    model_types=["qwen3moe"],
    metadata={"general.architecture": "qwen3moe"},
    proof=PROOF,
    without=[
        "layers.{i}.mlp.shared_expert.down_proj.weight",
        "layers.{i}.mlp.shared_expert.gate_proj.weight",
        "layers.{i}.mlp.shared_expert.up_proj.weight",
        "layers.{i}.mlp.shared_expert_gate.weight",
    ],
    sizes={"qwen3moe.expert_count": "num_local_experts"},
    rows=[
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
    ],
)


HF_QWEN3_VL_MOE = Layout(
    "hf-qwen3_vl_moe",
    architecture="qwen3_vl_moe",
    prefixes=("model.language_model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.experts.down_proj"),
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight"),
        Row("layers.{i}.self_attn.v_proj.weight"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.gate_up_proj"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Row("model.visual.{path...}", prefixed=False, optional=True),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_QWEN3VLMOE = Layout(
    "gguf-qwen3vlmoe",
    base=HF_QWEN3_VL_MOE,
    model_types=["qwen3vlmoe"],
    metadata={"general.architecture": "qwen3vlmoe"},
    sizes={
        "qwen3vlmoe.block_count": "num_hidden_layers",
        "qwen3vlmoe.context_length": "max_position_embeddings",
        "qwen3vlmoe.embedding_length": "hidden_size",
        "qwen3vlmoe.feed_forward_length": "intermediate_size",
        "qwen3vlmoe.expert_feed_forward_length": "moe_intermediate_size",
        "qwen3vlmoe.attention.head_count": "num_attention_heads",
        "qwen3vlmoe.attention.head_count_kv": "num_key_value_heads",
        "qwen3vlmoe.attention.key_length": "head_dim",
        "qwen3vlmoe.expert_count": "num_local_experts",
        "qwen3vlmoe.expert_used_count": "num_experts_per_tok",
        "qwen3vlmoe.n_deepstack_layers": "deepstack_layers or 0",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight", Transpose((0, 2, 1))
        ),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.gate_up_proj",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Chain(Split((1, 1), axis=2), Transpose((0, 2, 1))),
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Lacks("model.visual.{path...}", "GGUF keeps this part of the model in a file of its own"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

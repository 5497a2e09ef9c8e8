"""The architectures deepseek32 and glm-dsa, as GGUF calls them.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split, Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Identity, Transpose
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_DEEPSEEK_V32 = Layout(
    "hf-deepseek_v32",
    architecture="deepseek_v32",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "n_routed_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.indexer.k_norm.{part:weight|bias}"),
        Row("layers.{i}.self_attn.indexer.weights_proj.weight"),
        Row("layers.{i}.self_attn.indexer.wk.weight"),
        Row("layers.{i}.self_attn.indexer.wq_b.weight"),
        Row("layers.{i}.self_attn.kv_a_layernorm.weight"),
        Row("layers.{i}.self_attn.kv_a_proj_with_mqa.weight"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_a_layernorm.weight"),
        Row("layers.{i}.self_attn.q_a_proj.weight"),
        Row("layers.{i}.self_attn.q_b_proj.weight"),
        Row("layers.{i}.mlp.gate.e_score_correction_bias", in_some_layers=True),
        Row("layers.{i}.mlp.gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.shared_experts.up_proj.weight", in_some_layers=True),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight", in_some_layers=True),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight", in_some_layers=True),
        Row("layers.{i}.self_attn.kv_b_proj.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row(
            "layers.{i}.mlp.down_proj.weight",
            shape=("hidden_size", "intermediate_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.gate_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.up_proj.weight",
            shape=("intermediate_size", "hidden_size"),
            in_some_layers=True,
        ),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_DEEPSEEK32 = Layout(
    "gguf-deepseek32",
    base=HF_DEEPSEEK_V32,
    model_types=["deepseek32"],
    metadata={"general.architecture": "deepseek32"},
    sizes={
        "deepseek32.block_count": "num_hidden_layers",
        "deepseek32.context_length": "max_position_embeddings",
        "deepseek32.embedding_length": "hidden_size",
        "deepseek32.feed_forward_length": "intermediate_size",
        "deepseek32.expert_feed_forward_length": "moe_intermediate_size",
        "deepseek32.attention.head_count": "num_attention_heads",
        "deepseek32.attention.kv_lora_rank": "kv_lora_rank",
        "deepseek32.attention.q_lora_rank": "q_lora_rank",
        "deepseek32.expert_count": "n_routed_experts",
        "deepseek32.expert_used_count": "num_experts_per_tok",
        "deepseek32.expert_gating_func": 2,
        "deepseek32.vocab_size": "vocab_size",
        "deepseek32.attention.head_count_kv": 1,
        "deepseek32.attention.key_length": "kv_lora_rank + qk_rope_head_dim",
        "deepseek32.attention.value_length": "kv_lora_rank",
        "deepseek32.leading_dense_block_count": "leading_dense_layers",
        "deepseek32.attention.key_length_mla": "qk_nope_head_dim + qk_rope_head_dim",
        "deepseek32.attention.value_length_mla": "v_head_dim",
        "deepseek32.expert_shared_count": "n_shared_experts",
        "deepseek32.expert_weights_scale": "routed_scaling_factor",
        "deepseek32.rope.dimension_count": "qk_rope_head_dim",
        "deepseek32.expert_weights_norm": "norm_topk_prob",
        "deepseek32.attention.indexer.head_count": "index_n_heads",
        "deepseek32.attention.indexer.key_length": "index_head_dim",
        "deepseek32.attention.indexer.top_k": "index_topk",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row(
            "layers.{i}.self_attn.indexer.k_norm.{part:weight|bias}",
            "blk.{i}.indexer.k_norm.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.indexer.weights_proj.weight", "blk.{i}.indexer.proj.weight"),
        Row("layers.{i}.self_attn.indexer.wk.weight", "blk.{i}.indexer.attn_k.weight"),
        Row("layers.{i}.self_attn.indexer.wq_b.weight", "blk.{i}.indexer.attn_q_b.weight"),
        Row("layers.{i}.self_attn.kv_a_layernorm.weight", "blk.{i}.attn_kv_a_norm.weight"),
        Row("layers.{i}.self_attn.kv_a_proj_with_mqa.weight", "blk.{i}.attn_kv_a_mqa.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_a_layernorm.weight", "blk.{i}.attn_q_a_norm.weight"),
        Row("layers.{i}.self_attn.q_a_proj.weight", "blk.{i}.attn_q_a.weight"),
        Row("layers.{i}.self_attn.q_b_proj.weight", "blk.{i}.attn_q_b.weight"),
        Row(
            "layers.{i}.mlp.gate.e_score_correction_bias",
            "blk.{i}.exp_probs_b.bias",
            in_some_layers=True,
        ),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight", in_some_layers=True),
        Row(
            "layers.{i}.mlp.shared_experts.down_proj.weight",
            "blk.{i}.ffn_down_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.gate_proj.weight",
            "blk.{i}.ffn_gate_shexp.weight",
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.shared_experts.up_proj.weight",
            "blk.{i}.ffn_up_shexp.weight",
            in_some_layers=True,
        ),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.{e}.down_proj.weight",
            "blk.{i}.ffn_down_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.gate_proj.weight",
            "blk.{i}.ffn_gate_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.mlp.experts.{e}.up_proj.weight",
            "blk.{i}.ffn_up_exps.weight",
            Stack("e"),
            in_some_layers=True,
        ),
        Row(
            "layers.{i}.self_attn.kv_b_proj.weight",
            ("blk.{i}.attn_k_b.weight", "blk.{i}.attn_v_b.weight"),
            Chain(
                Rearrange("(a b) c -> a b c", a="num_attention_heads"),
                Split(("qk_nope_head_dim", "v_head_dim"), axis=1),
                Each(Transpose((0, 2, 1)), Identity()),
            ),
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight", in_some_layers=True),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight", in_some_layers=True),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight", in_some_layers=True),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)


HF_GLM_MOE_DSA = extend(
    HF_DEEPSEEK_V32,
    "hf-glm_moe_dsa",
    architecture="glm_moe_dsa",
    proof=PROOF,
)


GGUF_GLM_DSA = extend(
    GGUF_DEEPSEEK32,
    "gguf-glm-dsa",
    base=HF_GLM_MOE_DSA,
    model_types=["glm-dsa"],
    metadata={"general.architecture": "glm-dsa"},
    proof=PROOF,
    sizes={"glm-dsa.attention.indexer.types": "indexer_types == full"},
)

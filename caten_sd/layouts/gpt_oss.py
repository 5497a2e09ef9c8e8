"""The architecture gpt-oss, as GGUF calls it.

The canonical names are those of Hugging Face. tests/oracles/generate_layouts.py writes this file.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Split
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Transpose
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row

PROOF = "llama.cpp's converter gives the same tensors, and they come back"
UNTIED = ("tie_word_embeddings", False)

HF_GPT_OSS = Layout(
    "hf-gpt_oss",
    architecture="gpt_oss",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.mlp.experts.down_proj"),
        Row("layers.{i}.mlp.experts.down_proj_bias"),
        Row("layers.{i}.mlp.router.{part:weight|bias}"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.sinks"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.gate_up_proj"),
        Row("layers.{i}.mlp.experts.gate_up_proj_bias"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "computed from the configuration"),
    ],
)


GGUF_GPT_OSS = Layout(
    "gguf-gpt-oss",
    base=HF_GPT_OSS,
    model_types=["gpt-oss"],
    metadata={"general.architecture": "gpt-oss"},
    sizes={
        "gpt-oss.block_count": "num_hidden_layers",
        "gpt-oss.context_length": "max_position_embeddings",
        "gpt-oss.embedding_length": "hidden_size",
        "gpt-oss.feed_forward_length": "intermediate_size",
        "gpt-oss.attention.head_count": "num_attention_heads",
        "gpt-oss.attention.head_count_kv": "num_key_value_heads",
        "gpt-oss.attention.key_length": "head_dim",
        "gpt-oss.expert_count": "num_local_experts",
        "gpt-oss.expert_used_count": "num_experts_per_tok",
        "gpt-oss.attention.sliding_window": "sliding_window",
        "gpt-oss.expert_feed_forward_length": "intermediate_size",
    },
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight", Transpose((0, 2, 1))
        ),
        Row("layers.{i}.mlp.experts.down_proj_bias", "blk.{i}.ffn_down_exps.bias"),
        Row("layers.{i}.mlp.router.{part:weight|bias}", "blk.{i}.ffn_gate_inp.{part:weight|bias}"),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row(
            "layers.{i}.self_attn.o_proj.{part:weight|bias}",
            "blk.{i}.attn_output.{part:weight|bias}",
        ),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
        Row("norm.weight", "output_norm.weight"),
        Row(
            "layers.{i}.mlp.experts.gate_up_proj",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Chain(
                Rearrange("a b (c d) -> a b c d", d=2),
                Split((1, 1), axis=3),
                Rearrange("a b c 1 -> a c b"),
            ),
        ),
        Row(
            "layers.{i}.mlp.experts.gate_up_proj_bias",
            ("blk.{i}.ffn_gate_exps.bias", "blk.{i}.ffn_up_exps.bias"),
            Chain(
                Rearrange("a (b c) -> a b c", c=2), Split((1, 1), axis=2), Rearrange("a b 1 -> a b")
            ),
        ),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "computed from the configuration"),
        Drop("rope_factors_long.weight", "computed from the configuration"),
        Drop("rope_factors_short.weight", "computed from the configuration"),
    ],
)

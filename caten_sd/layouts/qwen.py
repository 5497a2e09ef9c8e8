"""qwen: the names of Hugging Face, which are the canonical ones, and of GGUF."""

from __future__ import annotations

from caten_sd.mapping.assembly import Concat, Split, Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Regroup
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain, Identity, NegExp, Offset, Transpose
from caten_sd.mapping.rearrange import Each, Rearrange
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
    ],
)


HF_QWEN2_QWEN2_AUDIO = Layout(
    "hf-qwen2_audio",
    base=HF_QWEN2.canonical,
    prefixes=("language_model.model.", ""),
    proof=PROOF,
    rows=[
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("embed_tokens.weight"),
        Row("layers.{i}.mlp.down_proj.weight"),
        Row("layers.{i}.mlp.gate_proj.weight"),
        Row("layers.{i}.mlp.up_proj.weight"),
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


HF_QWEN2_AUDIOFLAMINGO3 = extend(
    HF_QWEN2_QWEN2_AUDIO,
    "hf-audioflamingo3",
    base=HF_QWEN2.canonical,
    proof=PROOF,
)


GGUF_QWEN2 = Layout(
    "gguf-qwen2",
    base=HF_QWEN2.canonical,
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
    ],
)


HF_QWEN2MOE = Layout(
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
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}"),
        Row("norm.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
    ],
)


GGUF_QWEN2MOE = Layout(
    "gguf-qwen2moe",
    base=HF_QWEN2MOE.canonical,
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
        Row("layers.{i}.self_attn.k_proj.{part:weight|bias}", "blk.{i}.attn_k.{part:weight|bias}"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.{part:weight|bias}", "blk.{i}.attn_q.{part:weight|bias}"),
        Row("layers.{i}.self_attn.v_proj.{part:weight|bias}", "blk.{i}.attn_v.{part:weight|bias}"),
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
    ],
)


HF_QWEN2VL = extend(
    HF_QWEN2,
    "hf-qwen2_5_vl",
    architecture="qwen2_5_vl",
    proof=PROOF,
    rows=[Row("visual.{path...}", prefixed=False, optional=True)],
)


GGUF_QWEN2VL = extend(
    GGUF_QWEN2,
    "gguf-qwen2vl",
    base=HF_QWEN2VL.canonical,
    metadata={"general.architecture": "qwen2vl"},
    proof=PROOF,
    rows=[Lacks("visual.{path...}", "GGUF keeps this part of the model in a file of its own")],
)


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
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
    ],
)


GGUF_QWEN3 = Layout(
    "gguf-qwen3",
    base=HF_QWEN3.canonical,
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
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
    ],
)


HF_QWEN3MOE = extend(
    HF_QWEN3,
    "hf-qwen3_moe",
    architecture="qwen3_moe",
    counts={"i": "num_hidden_layers", "e": "num_local_experts"},
    proof=PROOF,
    without=[
        "layers.{i}.mlp.down_proj.weight",
        "layers.{i}.mlp.gate_proj.weight",
        "layers.{i}.mlp.up_proj.weight",
    ],
    rows=[
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight"),
    ],
)


GGUF_QWEN3MOE = extend(
    GGUF_QWEN3,
    "gguf-qwen3moe",
    base=HF_QWEN3MOE.canonical,
    metadata={"general.architecture": "qwen3moe"},
    sizes={
        "qwen3moe.block_count": "num_hidden_layers",
        "qwen3moe.context_length": "max_position_embeddings",
        "qwen3moe.embedding_length": "hidden_size",
        "qwen3moe.feed_forward_length": "intermediate_size",
        "qwen3moe.expert_feed_forward_length": "moe_intermediate_size",
        "qwen3moe.attention.head_count": "num_attention_heads",
        "qwen3moe.attention.head_count_kv": "num_key_value_heads",
        "qwen3moe.expert_count": "num_local_experts",
        "qwen3moe.expert_used_count": "num_experts_per_tok",
    },
    proof=PROOF,
    without=[
        "layers.{i}.mlp.down_proj.weight",
        "layers.{i}.mlp.gate_proj.weight",
        "layers.{i}.mlp.up_proj.weight",
    ],
    rows=[
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
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


HF_QWEN3NEXT = Layout(
    "hf-qwen3_next",
    architecture="qwen3_next",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers", "e": "num_experts"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.linear_attn.conv1d.weight"),
        Row("layers.{i}.linear_attn.dt_bias"),
        Row("layers.{i}.linear_attn.in_proj_ba.weight"),
        Row("layers.{i}.linear_attn.norm.weight"),
        Row("layers.{i}.linear_attn.out_proj.weight"),
        Row("layers.{i}.mlp.gate.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight"),
        Row("layers.{i}.mlp.experts.{e}.down_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.gate_proj.weight"),
        Row("layers.{i}.mlp.experts.{e}.up_proj.weight"),
        Row("layers.{i}.linear_attn.in_proj_qkvz.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.linear_attn.A_log"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
    ],
)


GGUF_QWEN3NEXT = Layout(
    "gguf-qwen3next",
    base=HF_QWEN3NEXT.canonical,
    metadata={"general.architecture": "qwen3next"},
    sizes={
        "qwen3next.block_count": "num_hidden_layers",
        "qwen3next.context_length": "max_position_embeddings",
        "qwen3next.embedding_length": "hidden_size",
        "qwen3next.feed_forward_length": "intermediate_size",
        "qwen3next.expert_feed_forward_length": "moe_intermediate_size",
        "qwen3next.expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        "qwen3next.attention.head_count": "num_attention_heads",
        "qwen3next.attention.head_count_kv": "num_key_value_heads",
        "qwen3next.attention.key_length": "head_dim",
        "qwen3next.expert_count": "num_experts",
        "qwen3next.expert_used_count": "num_experts_per_tok",
        "qwen3next.ssm.conv_kernel": "linear_conv_kernel_dim",
        "qwen3next.ssm.group_count": "linear_num_key_heads",
        "qwen3next.ssm.state_size": "linear_key_head_dim",
        "qwen3next.ssm.time_step_rank": "linear_num_value_heads",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.linear_attn.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Rearrange("a 1 b -> a b"),
        ),
        Row("layers.{i}.linear_attn.dt_bias", "blk.{i}.ssm_dt.bias"),
        Row("layers.{i}.linear_attn.in_proj_ba.weight", "blk.{i}.ssm_ba.weight"),
        Row("layers.{i}.linear_attn.norm.weight", "blk.{i}.ssm_norm.weight"),
        Row("layers.{i}.linear_attn.out_proj.weight", "blk.{i}.ssm_out.weight"),
        Row("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
        Row("layers.{i}.mlp.shared_expert.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
        Row("layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight"),
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
        Row(
            "layers.{i}.linear_attn.in_proj_qkvz.weight",
            ("blk.{i}.attn_qkv.weight", "blk.{i}.attn_gate.weight"),
            Chain(
                Regroup(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    "linear_num_key_heads",
                    undo=True,
                ),
                Split(
                    (
                        "2*linear_num_key_heads*linear_key_head_dim+linear_num_value_heads*linear_value_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
            ),
        ),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row("layers.{i}.linear_attn.A_log", "blk.{i}.ssm_a", NegExp()),
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "blk.{i}.post_attention_norm.weight",
            Offset(1.0),
        ),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
    ],
)


HF_QWEN3VL = extend(
    HF_QWEN3,
    "hf-qwen3_vl",
    architecture="qwen3_vl/qwen3_asr",
    prefixes=("model.language_model.", ""),
    proof=PROOF,
    rows=[Row("model.visual.{path...}", prefixed=False, optional=True)],
)


HF_QWEN3VL_QWEN3_ASR = Layout(
    "hf-qwen3_asr",
    base=HF_QWEN3VL.canonical,
    prefixes=("model.language_model.", ""),
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
        Row("embed_tokens.weight"),
        Row("layers.{i}.mlp.down_proj.weight"),
        Row("layers.{i}.mlp.gate_proj.weight"),
        Row("layers.{i}.mlp.up_proj.weight"),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Row("model.visual.{path...}", prefixed=False, optional=True),
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
    base=HF_QWEN3VL.canonical,
    metadata={"general.architecture": "qwen3vl"},
    proof=PROOF,
    rows=[
        Lacks("model.visual.{path...}", "GGUF keeps this part of the model in a file of its own")
    ],
)


HF_QWEN3VLMOE = extend(
    HF_QWEN3MOE,
    "hf-qwen3_vl_moe",
    architecture="qwen3_vl_moe",
    prefixes=("model.language_model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    without=[
        "layers.{i}.mlp.experts.{e}.down_proj.weight",
        "layers.{i}.mlp.experts.{e}.gate_proj.weight",
        "layers.{i}.mlp.experts.{e}.up_proj.weight",
    ],
    rows=[
        Row("layers.{i}.mlp.experts.down_proj"),
        Row("layers.{i}.mlp.experts.gate_up_proj"),
        Row("model.visual.{path...}", prefixed=False, optional=True),
    ],
)


GGUF_QWEN3VLMOE = extend(
    GGUF_QWEN3MOE,
    "gguf-qwen3vlmoe",
    base=HF_QWEN3VLMOE.canonical,
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
    },
    proof=PROOF,
    without=[
        "layers.{i}.mlp.experts.{e}.down_proj.weight",
        "layers.{i}.mlp.experts.{e}.gate_proj.weight",
        "layers.{i}.mlp.experts.{e}.up_proj.weight",
    ],
    rows=[
        Row(
            "layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight", Transpose((0, 2, 1))
        ),
        Row(
            "layers.{i}.mlp.experts.gate_up_proj",
            ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
            Chain(Transpose((0, 2, 1)), Split((1, 1), axis=1)),
        ),
        Lacks("model.visual.{path...}", "GGUF keeps this part of the model in a file of its own"),
    ],
)


HF_QWEN35 = Layout(
    "hf-qwen3_5_text",
    architecture="qwen3_5_text/qwen3_5",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    proof=PROOF,
    rows=[
        Row("layers.{i}.linear_attn.conv1d.weight"),
        Row("layers.{i}.linear_attn.dt_bias"),
        Row("layers.{i}.linear_attn.in_proj_a.weight"),
        Row("layers.{i}.linear_attn.in_proj_b.weight"),
        Row("layers.{i}.linear_attn.in_proj_qkv.weight"),
        Row("layers.{i}.linear_attn.in_proj_z.weight"),
        Row("layers.{i}.linear_attn.norm.weight"),
        Row("layers.{i}.linear_attn.out_proj.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.linear_attn.A_log"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
    ],
)


HF_QWEN35_QWEN3_5 = Layout(
    "hf-qwen3_5",
    base=HF_QWEN35.canonical,
    prefixes=("model.language_model.", ""),
    proof=PROOF,
    rows=[
        Row("layers.{i}.linear_attn.conv1d.weight"),
        Row("layers.{i}.linear_attn.dt_bias"),
        Row("layers.{i}.linear_attn.in_proj_a.weight"),
        Row("layers.{i}.linear_attn.in_proj_b.weight"),
        Row("layers.{i}.linear_attn.in_proj_qkv.weight"),
        Row("layers.{i}.linear_attn.in_proj_z.weight"),
        Row("layers.{i}.linear_attn.norm.weight"),
        Row("layers.{i}.linear_attn.out_proj.weight"),
        Row("layers.{i}.input_layernorm.weight"),
        Row("layers.{i}.linear_attn.A_log"),
        Row("layers.{i}.post_attention_layernorm.weight"),
        Row("norm.weight"),
        Row("embed_tokens.weight"),
        Row("layers.{i}.mlp.down_proj.weight"),
        Row("layers.{i}.mlp.gate_proj.weight"),
        Row("layers.{i}.mlp.up_proj.weight"),
        Row("lm_head.weight", prefixed=False, tied="embed_tokens.weight", untied=UNTIED),
        Drop("model.visual.{path...}", "not a part of the language model", prefixed=False),
    ],
)


GGUF_QWEN35 = Layout(
    "gguf-qwen35",
    base=HF_QWEN35.canonical,
    metadata={"general.architecture": "qwen35"},
    sizes={
        "qwen35.block_count": "num_hidden_layers",
        "qwen35.context_length": "max_position_embeddings",
        "qwen35.embedding_length": "hidden_size",
        "qwen35.feed_forward_length": "intermediate_size",
        "qwen35.attention.head_count": "num_attention_heads",
        "qwen35.attention.head_count_kv": "num_key_value_heads",
        "qwen35.attention.key_length": "head_dim",
        "qwen35.ssm.conv_kernel": "linear_conv_kernel_dim",
        "qwen35.ssm.group_count": "linear_num_key_heads",
        "qwen35.ssm.state_size": "linear_key_head_dim",
        "qwen35.ssm.time_step_rank": "linear_num_value_heads",
    },
    proof=PROOF,
    rows=[
        Row(
            "layers.{i}.linear_attn.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Chain(
                Rearrange("a 1 b -> a b"),
                Split(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Identity(),
                    Rearrange(
                        "(k r d) c -> (r k d) c",
                        d="linear_value_head_dim",
                        k="linear_num_key_heads",
                    ),
                ),
                Concat(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
        ),
        Row(
            "layers.{i}.linear_attn.dt_bias",
            "blk.{i}.ssm_dt.bias",
            Rearrange("(k r) -> (r k)", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_a.weight",
            "blk.{i}.ssm_alpha.weight",
            Rearrange("(k r) c -> (r k) c", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_b.weight",
            "blk.{i}.ssm_beta.weight",
            Rearrange("(k r) c -> (r k) c", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_qkv.weight",
            "blk.{i}.attn_qkv.weight",
            Chain(
                Split(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Identity(),
                    Rearrange(
                        "(k r d) c -> (r k d) c",
                        d="linear_value_head_dim",
                        k="linear_num_key_heads",
                    ),
                ),
                Concat(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_z.weight",
            "blk.{i}.attn_gate.weight",
            Rearrange(
                "(k r d) c -> (r k d) c", d="linear_value_head_dim", k="linear_num_key_heads"
            ),
        ),
        Row("layers.{i}.linear_attn.norm.weight", "blk.{i}.ssm_norm.weight"),
        Row(
            "layers.{i}.linear_attn.out_proj.weight",
            "blk.{i}.ssm_out.weight",
            Rearrange(
                "c (k r d) -> c (r k d)", d="linear_value_head_dim", k="linear_num_key_heads"
            ),
        ),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", Offset(1.0)),
        Row(
            "layers.{i}.linear_attn.A_log",
            "blk.{i}.ssm_a",
            Chain(NegExp(), Rearrange("(k r) -> (r k)", k="linear_num_key_heads")),
        ),
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "blk.{i}.post_attention_norm.weight",
            Offset(1.0),
        ),
        Row("norm.weight", "output_norm.weight", Offset(1.0)),
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
    ],
)


HF_QWEN35MOE = extend(
    HF_QWEN3NEXT,
    "hf-qwen3_5_moe_text",
    architecture="qwen3_5_moe_text",
    proof=PROOF,
    without=[
        "layers.{i}.linear_attn.in_proj_ba.weight",
        "layers.{i}.linear_attn.in_proj_qkvz.weight",
    ],
    rows=[
        Row("layers.{i}.linear_attn.in_proj_a.weight"),
        Row("layers.{i}.linear_attn.in_proj_b.weight"),
        Row("layers.{i}.linear_attn.in_proj_qkv.weight"),
        Row("layers.{i}.linear_attn.in_proj_z.weight"),
    ],
)


GGUF_QWEN35MOE = extend(
    GGUF_QWEN3NEXT,
    "gguf-qwen35moe",
    base=HF_QWEN35MOE.canonical,
    metadata={"general.architecture": "qwen35moe"},
    sizes={
        "qwen35moe.block_count": "num_hidden_layers",
        "qwen35moe.context_length": "max_position_embeddings",
        "qwen35moe.embedding_length": "hidden_size",
        "qwen35moe.expert_feed_forward_length": "moe_intermediate_size",
        "qwen35moe.expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        "qwen35moe.attention.head_count": "num_attention_heads",
        "qwen35moe.attention.head_count_kv": "num_key_value_heads",
        "qwen35moe.attention.key_length": "head_dim",
        "qwen35moe.expert_count": "num_experts",
        "qwen35moe.expert_used_count": "num_experts_per_tok",
        "qwen35moe.ssm.conv_kernel": "linear_conv_kernel_dim",
        "qwen35moe.ssm.group_count": "linear_num_key_heads",
        "qwen35moe.ssm.state_size": "linear_key_head_dim",
        "qwen35moe.ssm.time_step_rank": "linear_num_value_heads",
    },
    proof=PROOF,
    without=[
        "layers.{i}.linear_attn.in_proj_ba.weight",
        "layers.{i}.linear_attn.in_proj_qkvz.weight",
    ],
    rows=[
        Row(
            "layers.{i}.linear_attn.conv1d.weight",
            "blk.{i}.ssm_conv1d.weight",
            Chain(
                Rearrange("a 1 b -> a b"),
                Split(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Identity(),
                    Rearrange(
                        "(k r d) c -> (r k d) c",
                        d="linear_value_head_dim",
                        k="linear_num_key_heads",
                    ),
                ),
                Concat(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
        ),
        Row(
            "layers.{i}.linear_attn.dt_bias",
            "blk.{i}.ssm_dt.bias",
            Rearrange("(k r) -> (r k)", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_a.weight",
            "blk.{i}.ssm_alpha.weight",
            Rearrange("(k r) c -> (r k) c", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_b.weight",
            "blk.{i}.ssm_beta.weight",
            Rearrange("(k r) c -> (r k) c", k="linear_num_key_heads"),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_qkv.weight",
            "blk.{i}.attn_qkv.weight",
            Chain(
                Split(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    ),
                    axis=0,
                ),
                Each(
                    Identity(),
                    Identity(),
                    Rearrange(
                        "(k r d) c -> (r k d) c",
                        d="linear_value_head_dim",
                        k="linear_num_key_heads",
                    ),
                ),
                Concat(
                    (
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_key_heads*linear_key_head_dim",
                        "linear_num_value_heads*linear_value_head_dim",
                    )
                ),
            ),
        ),
        Row(
            "layers.{i}.linear_attn.in_proj_z.weight",
            "blk.{i}.attn_gate.weight",
            Rearrange(
                "(k r d) c -> (r k d) c", d="linear_value_head_dim", k="linear_num_key_heads"
            ),
        ),
        Row(
            "layers.{i}.linear_attn.out_proj.weight",
            "blk.{i}.ssm_out.weight",
            Rearrange(
                "c (k r d) -> c (r k d)", d="linear_value_head_dim", k="linear_num_key_heads"
            ),
        ),
        Row(
            "layers.{i}.linear_attn.A_log",
            "blk.{i}.ssm_a",
            Chain(NegExp(), Rearrange("(k r) -> (r k)", k="linear_num_key_heads")),
        ),
    ],
)

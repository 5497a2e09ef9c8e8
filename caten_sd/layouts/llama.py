"""Llama and its relatives: the names of Hugging Face, which are the canonical ones, and others.

Hugging Face has rotary rows as two halves of each head, Meta and GGUF as pairs. Mistral has Llama's
names and is a Llama in GGUF. SmolLM3 and Granite have Llama's names and their own names in GGUF.
Mixtral has experts in place of the feed-forward layer: one by one in files, stacked in GGUF and in
a live model of transformers 5.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Concat, Stack
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Rotary
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain
from caten_sd.mapping.rows import Drop, Row

UNTIED = ("tie_word_embeddings", False)
HEADS, KV_HEADS = "num_attention_heads", "num_key_value_heads"
QUERIES, KEYS = Rotary(HEADS, to="pairs"), Rotary(KV_HEADS, to="pairs")
Q_ROWS, KV_ROWS = f"{HEADS}*head_dim", f"{KV_HEADS}*head_dim"

# As configurations have it: where they do not count the key-value heads, each head has its own.
ALIASES = {
    HEADS: ("n_heads", "n_head"),
    KV_HEADS: ("n_kv_heads", "n_kv_head", "num_query_groups", HEADS),
    "hidden_size": ("dim",),
    "num_hidden_layers": ("n_layers", "num_layers"),
}

# The number of a GGUF behind the name of its architecture, and what a config.json calls it.
SIZES = {
    "llama.vocab_size": "vocab_size",
    "llama.context_length": "max_position_embeddings",
    "llama.embedding_length": "hidden_size",
    "llama.feed_forward_length": "intermediate_size",
    "llama.block_count": "num_hidden_layers",
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": KV_HEADS,
    "llama.attention.key_length": "head_dim",
    "llama.attention.value_length": "head_dim",
    "llama.rope.dimension_count": "head_dim",
    "llama.rope.freq_base": "rope_theta",
    "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps",
}

HF = Layout(
    "hf-llama",
    architecture="llama",
    proof="LlamaForCausalLM of transformers gives the same logits",
    prefixes=("model.", ""),
    counts={"i": "num_hidden_layers"},
    aliases=ALIASES,
    rows=[
        Row("embed_tokens.weight", shape=("vocab_size", "hidden_size")),
        Row("layers.{i}.input_layernorm.weight", shape=("hidden_size",)),
        Row("layers.{i}.self_attn.q_proj.weight", shape=(Q_ROWS, "hidden_size")),
        Row("layers.{i}.self_attn.k_proj.weight", shape=(KV_ROWS, "hidden_size")),
        Row("layers.{i}.self_attn.v_proj.weight", shape=(KV_ROWS, "hidden_size")),
        Row("layers.{i}.self_attn.o_proj.weight", shape=("hidden_size", Q_ROWS)),
        Row("layers.{i}.self_attn.q_proj.bias", shape=(Q_ROWS,), flag="attention_bias"),
        Row("layers.{i}.self_attn.k_proj.bias", shape=(KV_ROWS,), flag="attention_bias"),
        Row("layers.{i}.self_attn.v_proj.bias", shape=(KV_ROWS,), flag="attention_bias"),
        Row("layers.{i}.self_attn.o_proj.bias", shape=("hidden_size",), flag="attention_bias"),
        Row("layers.{i}.post_attention_layernorm.weight", shape=("hidden_size",)),
        Row("layers.{i}.mlp.gate_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.up_proj.weight", shape=("intermediate_size", "hidden_size")),
        Row("layers.{i}.mlp.down_proj.weight", shape=("hidden_size", "intermediate_size")),
        Row("layers.{i}.mlp.gate_proj.bias", shape=("intermediate_size",), flag="mlp_bias"),
        Row("layers.{i}.mlp.up_proj.bias", shape=("intermediate_size",), flag="mlp_bias"),
        Row("layers.{i}.mlp.down_proj.bias", shape=("hidden_size",), flag="mlp_bias"),
        Row("norm.weight", shape=("hidden_size",)),
        Row(
            "lm_head.weight",
            shape=("vocab_size", "hidden_size"),
            prefixed=False,
            tied="embed_tokens.weight",
            untied=UNTIED,
        ),
        Drop("layers.{i}.self_attn.rotary_emb.inv_freq", "the frequencies, which are computed"),
        Drop("rotary_emb.inv_freq", "the frequencies, which are computed"),
    ],
)

META = Layout(
    "meta-llama",
    base=HF,
    proof="the converter of transformers 4 gives the same tensors, of one rank or two",
    rank_file="consolidated.{rank:02}.pth",
    rows=[
        Row("embed_tokens.weight", "tok_embeddings.weight", ranks=(1, 0)),
        Row("layers.{i}.input_layernorm.weight", "layers.{i}.attention_norm.weight"),
        Row(
            "layers.{i}.self_attn.q_proj.weight",
            "layers.{i}.attention.wq.weight",
            QUERIES,
            ranks=(0,),
        ),
        Row(
            "layers.{i}.self_attn.k_proj.weight", "layers.{i}.attention.wk.weight", KEYS, ranks=(0,)
        ),
        Row("layers.{i}.self_attn.v_proj.weight", "layers.{i}.attention.wv.weight", ranks=(0,)),
        Row("layers.{i}.self_attn.o_proj.weight", "layers.{i}.attention.wo.weight", ranks=(1,)),
        Row("layers.{i}.post_attention_layernorm.weight", "layers.{i}.ffn_norm.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "layers.{i}.feed_forward.w1.weight", ranks=(0,)),
        Row("layers.{i}.mlp.up_proj.weight", "layers.{i}.feed_forward.w3.weight", ranks=(0,)),
        Row("layers.{i}.mlp.down_proj.weight", "layers.{i}.feed_forward.w2.weight", ranks=(1,)),
        Row("norm.weight"),
        Row("lm_head.weight", "output.weight", ranks=(0,)),
        Drop("rope.freqs", "the frequencies, which are computed"),
    ],
)

GGUF = Layout(
    "gguf-llama",
    base=HF,
    proof="llama.cpp's converter gives the same bytes, transformers reads the same weights",
    metadata={"general.architecture": "llama"},
    sizes=SIZES,
    rows=[
        Row("embed_tokens.weight", "token_embd.weight"),
        Row("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        Row("layers.{i}.self_attn.q_proj.weight", "blk.{i}.attn_q.weight", QUERIES),
        Row("layers.{i}.self_attn.k_proj.weight", "blk.{i}.attn_k.weight", KEYS),
        Row("layers.{i}.self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
        Row("layers.{i}.self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
        Row("layers.{i}.self_attn.q_proj.bias", "blk.{i}.attn_q.bias", QUERIES, optional=True),
        Row("layers.{i}.self_attn.k_proj.bias", "blk.{i}.attn_k.bias", KEYS, optional=True),
        Row("layers.{i}.self_attn.v_proj.bias", "blk.{i}.attn_v.bias", optional=True),
        Row("layers.{i}.self_attn.o_proj.bias", "blk.{i}.attn_output.bias", optional=True),
        Row("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        Row("layers.{i}.mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        Row("layers.{i}.mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
        Row("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
        Row("layers.{i}.mlp.gate_proj.bias", "blk.{i}.ffn_gate.bias", optional=True),
        Row("layers.{i}.mlp.up_proj.bias", "blk.{i}.ffn_up.bias", optional=True),
        Row("layers.{i}.mlp.down_proj.bias", "blk.{i}.ffn_down.bias", optional=True),
        Row("norm.weight", "output_norm.weight"),
        Row("lm_head.weight", "output.weight", tied="embed_tokens.weight"),
        Drop("rope_freqs.weight", "the factors of the frequencies, which are computed"),
        Drop("blk.{i}.attn_rot_embd.weight", "the frequencies, which are computed"),
    ],
)

MISTRAL = Layout(
    "hf-mistral",
    base=HF,
    proof="MistralForCausalLM of transformers gives the same logits",
    prefixes=HF.prefixes,
    model_types=("ministral",),
    rows=HF.rows,
)

SMOLLM3 = extend(
    HF,
    "hf-smollm3",
    architecture="smollm3",
    proof="SmolLM3ForCausalLM of transformers gives the same logits",
)
GGUF_SMOLLM3 = extend(
    GGUF,
    "gguf-smollm3",
    base=SMOLLM3,
    metadata={"general.architecture": "smollm3"},
    proof="llama.cpp's converter gives the same bytes",
)

GRANITE = extend(
    HF,
    "hf-granite",
    architecture="granite",
    proof="GraniteForCausalLM of transformers gives the same logits",
)
GGUF_GRANITE = extend(
    GGUF,
    "gguf-granite",
    base=GRANITE,
    metadata={"general.architecture": "granite"},
    proof="llama.cpp's converter gives the same bytes",
    sizes={
        "granite.attention.scale": "attention_multiplier",
        "granite.embedding_scale": "embedding_multiplier",
        "granite.residual_scale": "residual_multiplier",
        "granite.logit_scale": "logits_scaling",
    },
)

DENSE = [f"layers.{{i}}.mlp.{each}_proj.{part}" for each in ("gate", "up", "down")
         for part in ("weight", "bias")]  # fmt: skip
EXPERT = "layers.{i}.block_sparse_moe.experts.{e}."
GATE, UP, DOWN = (f"{EXPERT}{each}.weight" for each in ("w1", "w3", "w2"))
ROUTER = "layers.{i}.block_sparse_moe.gate.weight"

MIXTRAL = extend(
    HF,
    "hf-mixtral",
    [
        Row(ROUTER, shape=("num_local_experts", "hidden_size")),
        Row(GATE, shape=("intermediate_size", "hidden_size")),
        Row(UP, shape=("intermediate_size", "hidden_size")),
        Row(DOWN, shape=("hidden_size", "intermediate_size")),
    ],
    without=DENSE,
    architecture="mixtral",
    counts={"i": "num_hidden_layers", "e": "num_local_experts"},
    proof="MixtralForCausalLM of transformers gives the same logits",
)

MIXTRAL_LIVE = Layout(
    "hf-mixtral-live",
    base=MIXTRAL,
    prefixes=HF.prefixes,
    proof="the live model of transformers 5 has the same names and values",
    rows=[
        *(row for row in MIXTRAL.rows if "block_sparse_moe" not in str(row)),
        Row(ROUTER, "layers.{i}.mlp.gate.weight"),
        Row(
            (GATE, UP),
            "layers.{i}.mlp.experts.gate_up_proj",
            Chain(Stack("e"), Concat((1, 1), axis=1)),
        ),
        Row(DOWN, "layers.{i}.mlp.experts.down_proj", Stack("e")),
    ],
)

GGUF_MIXTRAL = extend(
    GGUF,
    "gguf-mixtral",
    [
        Row(ROUTER, "blk.{i}.ffn_gate_inp.weight"),
        Row(GATE, "blk.{i}.ffn_gate_exps.weight", Stack("e")),
        Row(UP, "blk.{i}.ffn_up_exps.weight", Stack("e")),
        Row(DOWN, "blk.{i}.ffn_down_exps.weight", Stack("e")),
    ],
    without=DENSE,
    base=MIXTRAL,
    model_types=("llama",),
    sizes={
        **SIZES,
        "llama.expert_count": "num_local_experts",
        "llama.expert_used_count": "num_experts_per_tok",
    },
    proof="llama.cpp's converter gives the same bytes",
)

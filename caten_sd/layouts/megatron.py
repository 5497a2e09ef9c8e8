"""Llama as Megatron-core has it: with local layers, with those of Transformer Engine, and saved.

Megatron-core joins Q, K and V for each key-value head, and the gate with the up projection.
"""

from __future__ import annotations

from dataclasses import replace

from caten_sd.mapping.assembly import Concat, Stack
from caten_sd.mapping.axis_lengths import Pad
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import packing
from caten_sd.mapping.known import known_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Chain
from caten_sd.mapping.rows import Drop, Row

LLAMA = known_layout("hf-llama")
HEADS, KV_HEADS = "num_attention_heads", "num_key_value_heads"
SHARED = ("share_embeddings_and_output_weights", False)
SHARES = (HEADS, KV_HEADS, KV_HEADS)
PACKED = Chain(Concat(SHARES), packing("per_kv_group", heads=HEADS, kv_heads=KV_HEADS))
GATE_UP = Concat((1, 1))
RANK_FILE = "mp_rank_{rank:02}/model_optim_rng.pt::model"

MEGATRON = Layout(
    "megatron-llama",
    base=LLAMA,
    proof="the rows of the layout of local layers, but for the names of two norms",
    prefixes=("", "module.", "model."),
    rank_file=RANK_FILE,
    rows=[
        Row("embed_tokens.weight", "embedding.word_embeddings.weight", ranks=(0,)),
        Row(
            "layers.{i}.input_layernorm.weight",
            "decoder.layers.{i}.self_attention.linear_qkv.layer_norm_weight",
        ),
        Row(
            tuple(f"layers.{{i}}.self_attn.{each}_proj.weight" for each in "qkv"),
            "decoder.layers.{i}.self_attention.linear_qkv.weight",
            PACKED,
            ranks=(0,),
        ),
        Row(
            tuple(f"layers.{{i}}.self_attn.{each}_proj.bias" for each in "qkv"),
            "decoder.layers.{i}.self_attention.linear_qkv.bias",
            PACKED,
            ranks=(0,),
            optional=True,
        ),
        Row(
            "layers.{i}.self_attn.o_proj.weight",
            "decoder.layers.{i}.self_attention.linear_proj.weight",
            ranks=(1,),
        ),
        Row(
            "layers.{i}.self_attn.o_proj.bias",
            "decoder.layers.{i}.self_attention.linear_proj.bias",
            optional=True,
        ),
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "decoder.layers.{i}.mlp.linear_fc1.layer_norm_weight",
        ),
        Row(
            tuple(f"layers.{{i}}.mlp.{each}_proj.weight" for each in ("gate", "up")),
            "decoder.layers.{i}.mlp.linear_fc1.weight",
            GATE_UP,
            ranks=(0,),
        ),
        Row(
            tuple(f"layers.{{i}}.mlp.{each}_proj.bias" for each in ("gate", "up")),
            "decoder.layers.{i}.mlp.linear_fc1.bias",
            GATE_UP,
            ranks=(0,),
            optional=True,
        ),
        Row(
            "layers.{i}.mlp.down_proj.weight",
            "decoder.layers.{i}.mlp.linear_fc2.weight",
            ranks=(1,),
        ),
        Row(
            "layers.{i}.mlp.down_proj.bias",
            "decoder.layers.{i}.mlp.linear_fc2.bias",
            optional=True,
        ),
        Row("norm.weight", "decoder.final_layernorm.weight"),
        Row(
            "lm_head.weight",
            "output_layer.weight",
            tied="embed_tokens.weight",
            untied=SHARED,
            ranks=(0,),
        ),
        Drop("{path...}._extra_state", "the scales of fp8, which belong to a training"),
    ],
)

MEGATRON_LOCAL = extend(
    MEGATRON,
    "megatron-llama-local",
    [
        Row(
            "layers.{i}.input_layernorm.weight",
            "decoder.layers.{i}.input_layernorm.weight",
        ),
        Row(
            "layers.{i}.post_attention_layernorm.weight",
            "decoder.layers.{i}.pre_mlp_layernorm.weight",
        ),
    ],
    base=LLAMA,
    proof="GPTModel of megatron-core gives the same logits",
)

MEGATRON_SAVED = extend(
    MEGATRON,
    "megatron-llama-saved",
    [
        replace(
            row,
            here=row.names[0].replace("layers.{i}.", "layers."),
            operation=Chain(row.operation, Stack("i")),
            ranks=None,
        )
        for row in MEGATRON.rows
        if isinstance(row, Row) and "{i}" in row.names[0]
    ],
    base=LLAMA,
    proof="the folder that megatron-core saves gives the same weights",
)


# The classic names, and older ones that are read too.
_CLASSIC = {
    "decoder.layers.{i}.input_layernorm.weight": ("input_norm.weight", "input_layernorm.weight"),
    "decoder.layers.{i}.pre_mlp_layernorm.weight": (
        "post_attention_norm.weight",
        "post_attention_layernorm.weight",
    ),
    "decoder.layers.{i}.self_attention.linear_qkv.": ("self_attention.query_key_value.",),
    "decoder.layers.{i}.self_attention.linear_proj.": ("self_attention.dense.",),
    "decoder.layers.{i}.mlp.linear_fc1.": ("mlp.dense_h_to_4h.",),
    "decoder.layers.{i}.mlp.linear_fc2.": ("mlp.dense_4h_to_h.",),
}


def _classic(row: Row) -> Row:
    """Return a row with the names that Megatron-LM had before Megatron-core."""
    name = row.names[0]
    if name == "decoder.final_layernorm.weight":
        return replace(row, here="encoder.final_norm.weight", also="encoder.final_layernorm.weight")
    for old, (new, *others) in _CLASSIC.items():
        if name.startswith(old):
            rest = name.removeprefix(old)
            here, *also = (f"encoder.layers.{{i}}.{each}{rest}" for each in (new, *others))
            return replace(row, here=here, also=tuple(also))
    return row


MEGATRON_CLASSIC = extend(
    MEGATRON_LOCAL,
    "megatron-llama-classic",
    [_classic(row) for row in MEGATRON_LOCAL.rows if isinstance(row, Row)],
    base=LLAMA,
    prefixes=("language_model.", "model.language_model.", "module.language_model."),
    rank_file="",
    proof="the rows of the layout of local layers under the names of Megatron-LM's source",
)

# As Megatron writes it for one tensor-parallel rank, whose embedding has more rows than tokens.
_ROWS_MORE = Pad(0, "vocab_size", multiple=128)
_WITH_VOCABULARY = ("embed_tokens.weight", "lm_head.weight")
PADDED_NOTE = "; rows behind the vocabulary are zeros"

MEGATRON_PADDED, MEGATRON_LOCAL_PADDED, MEGATRON_CLASSIC_PADDED = (
    extend(
        layout,
        name,
        [
            replace(row, operation=_ROWS_MORE)
            for row in layout.rows
            if isinstance(row, Row) and row.canonical_names[0] in _WITH_VOCABULARY
        ],
        base=LLAMA,
        proof=layout.proof + PADDED_NOTE,
    )
    for layout, name in (
        (MEGATRON, "megatron-llama-padded"),
        (MEGATRON_LOCAL, "megatron-llama-local-padded"),
        (MEGATRON_CLASSIC, "megatron-llama-classic-padded"),
    )
)

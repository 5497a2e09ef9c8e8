"""GPT-2: Caten's names, which are the canonical ones, and those of everyone else.

The rows follow Caten's own renaming from GGUF, and `transformers.GPT2LMHeadModel`. Conv1D in
transformers stores weights as (in, out), OpenAI's as (1, in, out); Caten's Linear, nanoGPT, GGUF
and Flax's Conv1D store them as (out, in). nanoGPT may pad the vocabulary to a multiple of 64, and
may have no biases.
"""

from __future__ import annotations

from caten_sd.mapping.axis_lengths import Pad
from caten_sd.mapping.extension import extend
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Constant, Drop, Lacks, Row

UNTIED = ("tie_word_embeddings", False)

NANOGPT_PROOF = "the model.py of nanoGPT gives the logits of GPT2LMHeadModel"

CATEN = Layout(
    "caten-gpt2",
    architecture="gpt2",
    proof="Caten's own listing of the keys and shapes of its Transformer",
    counts={"i": "n_layer"},
    aliases={"n_inner": ("intermediate_size",), "n_positions": ("n_ctx",)},
    rows=[
        Row("wte.weight", shape=("vocab_size", "n_embd")),
        Row("wpe.weight", shape=("n_positions", "n_embd")),
        Row("h.{i}.attn.c_attn.weight", shape=("3*n_embd", "n_embd")),
        Row("h.{i}.attn.c_attn.bias", shape=("3*n_embd",)),
        Row("h.{i}.attn.c_proj.weight", shape=("n_embd", "n_embd")),
        Row("h.{i}.attn.c_proj.bias", shape=("n_embd",)),
        Row("h.{i}.mlp.c_fc.weight", shape=("n_inner", "n_embd")),
        Row("h.{i}.mlp.c_fc.bias", shape=("n_inner",)),
        Row("h.{i}.mlp.c_proj.weight", shape=("n_embd", "n_inner")),
        Row("h.{i}.mlp.c_proj.bias", shape=("n_embd",)),
        Row("h.{i}.ln_1.affine", shape=("n_embd",)),
        Row("h.{i}.ln_1.bias", shape=("n_embd",)),
        Row("h.{i}.ln_2.affine", shape=("n_embd",)),
        Row("h.{i}.ln_2.bias", shape=("n_embd",)),
        Row("ln_f.affine", shape=("n_embd",)),
        Row("ln_f.bias", shape=("n_embd",)),
        Row("lm_head.weight", shape=("vocab_size", "n_embd")),
    ],
)

HF = Layout(
    "hf-gpt2",
    base=CATEN,
    proof="GPT2LMHeadModel of transformers gives the same logits",
    prefixes=("transformer.", ""),
    rows=[
        Row("wte.weight"),
        Row("wpe.weight"),
        Row("h.{i}.attn.c_attn.weight", operation=Transpose()),
        Row("h.{i}.attn.c_attn.bias"),
        Row("h.{i}.attn.c_proj.weight", operation=Transpose()),
        Row("h.{i}.attn.c_proj.bias"),
        Row("h.{i}.mlp.c_fc.weight", operation=Transpose()),
        Row("h.{i}.mlp.c_fc.bias"),
        Row("h.{i}.mlp.c_proj.weight", operation=Transpose()),
        Row("h.{i}.mlp.c_proj.bias"),
        Row("h.{i}.ln_1.affine", "h.{i}.ln_1.weight"),
        Row("h.{i}.ln_1.bias"),
        Row("h.{i}.ln_2.affine", "h.{i}.ln_2.weight"),
        Row("h.{i}.ln_2.bias"),
        Row("ln_f.affine", "ln_f.weight"),
        Row("ln_f.bias"),
        Row("lm_head.weight", prefixed=False, tied="wte.weight", untied=UNTIED),
        Drop("h.{i}.attn.bias", "the causal mask, which is computed", shape=(1, 1, "t", "t")),
        Drop("h.{i}.attn.masked_bias", "the mask's fill value, which is a constant", shape=()),
    ],
)

NANOGPT = Layout(
    "nanogpt",
    base=CATEN,
    proof=NANOGPT_PROOF,
    prefixes=("transformer.", ""),
    rows=[
        Row("wte.weight"),
        Row("wpe.weight"),
        Row("h.{i}.attn.c_attn.weight"),
        Row("h.{i}.attn.c_attn.bias"),
        Row("h.{i}.attn.c_proj.weight"),
        Row("h.{i}.attn.c_proj.bias"),
        Row("h.{i}.mlp.c_fc.weight"),
        Row("h.{i}.mlp.c_fc.bias"),
        Row("h.{i}.mlp.c_proj.weight"),
        Row("h.{i}.mlp.c_proj.bias"),
        Row("h.{i}.ln_1.affine", "h.{i}.ln_1.weight"),
        Row("h.{i}.ln_1.bias"),
        Row("h.{i}.ln_2.affine", "h.{i}.ln_2.weight"),
        Row("h.{i}.ln_2.bias"),
        Row("ln_f.affine", "ln_f.weight"),
        Row("ln_f.bias"),
        Row("lm_head.weight", prefixed=False, tied="wte.weight", untied=UNTIED),
        Drop("h.{i}.attn.bias", "the causal mask, which is computed", shape=(1, 1, "t", "t")),
    ],
)

GGUF = Layout(
    "gguf-gpt2",
    base=CATEN,
    proof="llama.cpp's converter gives the same names and orientations",
    metadata={"general.architecture": "gpt2"},
    sizes={
        "gpt2.vocab_size": "vocab_size",
        "gpt2.context_length": "n_positions",
        "gpt2.embedding_length": "n_embd",
        "gpt2.feed_forward_length": "n_inner",
        "gpt2.block_count": "n_layer",
        "gpt2.attention.head_count": "n_head",
        "gpt2.attention.layer_norm_epsilon": "layer_norm_epsilon",
    },
    rows=[
        Row("wte.weight", "token_embd.weight"),
        Row("wpe.weight", "position_embd.weight"),
        Row("h.{i}.attn.c_attn.{part:weight|bias}", "blk.{i}.attn_qkv.{part:weight|bias}"),
        Row("h.{i}.attn.c_proj.{part:weight|bias}", "blk.{i}.attn_output.{part:weight|bias}"),
        Row("h.{i}.mlp.c_fc.{part:weight|bias}", "blk.{i}.ffn_up.{part:weight|bias}"),
        Row("h.{i}.mlp.c_proj.{part:weight|bias}", "blk.{i}.ffn_down.{part:weight|bias}"),
        Row("h.{i}.ln_1.affine", "blk.{i}.attn_norm.weight"),
        Row("h.{i}.ln_1.bias", "blk.{i}.attn_norm.bias"),
        Row("h.{i}.ln_2.affine", "blk.{i}.ffn_norm.weight"),
        Row("h.{i}.ln_2.bias", "blk.{i}.ffn_norm.bias"),
        Row("ln_f.affine", "output_norm.weight"),
        Row("ln_f.bias", "output_norm.bias"),
        Row("lm_head.weight", "output.weight", tied="wte.weight"),
    ],
)

PADDED = Pad(0, "vocab_size", multiple=64)

NANOGPT_PADDED = extend(
    NANOGPT,
    "nanogpt-padded",
    [
        Row("wte.weight", operation=PADDED),
        Row("lm_head.weight", operation=PADDED, prefixed=False, tied="wte.weight", untied=UNTIED),
    ],
    base=CATEN,
    proof=NANOGPT_PROOF,
)

LINEAR = ("h.{i}.attn.c_attn", "h.{i}.attn.c_proj", "h.{i}.mlp.c_fc", "h.{i}.mlp.c_proj")
NORMS = ("h.{i}.ln_1", "h.{i}.ln_2", "ln_f")
NO_BIAS = "the model was made with bias=False"

NANOGPT_BIASLESS = extend(
    NANOGPT,
    "nanogpt-biasless",
    [
        *(
            Lacks(f"{each}.bias", NO_BIAS, constant=Constant(0.0, like=f"{each}.weight", axes=(0,)))
            for each in LINEAR
        ),
        *(
            Lacks(f"{each}.bias", NO_BIAS, constant=Constant(0.0, like=f"{each}.affine"))
            for each in NORMS
        ),
    ],
    base=CATEN,
    proof=NANOGPT_PROOF,
)

FLAX = Layout(
    "flax-gpt2",
    base=CATEN,
    proof="FlaxGPT2LMHeadModel of transformers 4 gives the same logits",
    prefixes=("transformer.", "", "params.transformer."),
    rows=[
        Row("wte.weight", "wte.embedding"),
        Row("wpe.weight", "wpe.embedding"),
        *(Row(f"{each}.weight", f"{each}.kernel") for each in LINEAR),
        *(Row(f"{each}.bias") for each in LINEAR),
        *(Row(f"{each}.affine", f"{each}.scale") for each in NORMS),
        *(Row(f"{each}.bias") for each in NORMS),
        Row(
            "lm_head.weight",
            "lm_head.kernel",
            Transpose(),
            prefixed=False,
            tied="wte.weight",
            untied=UNTIED,
        ),
    ],
)

# OpenAI's model ties its head, so lm_head is a name of ours for one that is not tied.
TF = Layout(
    "tf-gpt2",
    base=CATEN,
    proof="the converter of transformers 4 gives the same tensors",
    separator="/",
    prefixes=("model/", ""),
    rows=[
        Row("wte.weight", "wte"),
        Row("wpe.weight", "wpe"),
        *(
            Row(
                f"{each}.weight",
                f"{each.replace('h.{i}.', 'h{i}/').replace('.', '/')}/w",
                Rearrange("o i -> 1 i o"),
            )
            for each in LINEAR
        ),
        *(
            Row(f"{each}.bias", f"{each.replace('h.{i}.', 'h{i}/').replace('.', '/')}/b")
            for each in LINEAR
        ),
        *(Row(f"{each}.affine", f"{each.replace('h.{i}.', 'h{i}/')}/g") for each in NORMS),
        *(Row(f"{each}.bias", f"{each.replace('h.{i}.', 'h{i}/')}/b") for each in NORMS),
        Row("lm_head.weight", "lm_head", tied="wte.weight", untied=UNTIED),
    ],
)

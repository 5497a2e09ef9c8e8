"""Whisper: the names of Hugging Face, and those of openai-whisper.

Keys have no bias in either, and the output is computed with the token embedding.
"""

from __future__ import annotations

from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Lacks, Row

P = "{p:weight|bias}"
SIDES = {"encoder": "{i}", "decoder": "{j}"}
LAYERS = {side: f"{side}.layers.{index}" for side, index in SIDES.items()}
BLOCKS = {side: f"{side}.blocks.{index}" for side, index in SIDES.items()}
ATTENTIONS = (
    ("encoder", "self_attn", "attn"),
    ("decoder", "self_attn", "attn"),
    ("decoder", "encoder_attn", "cross_attn"),
)
PROJECTIONS = (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"))

HF = Layout(
    "hf-whisper",
    architecture="whisper",
    proof="transformers saves the same keys",
    prefixes=("model.", ""),
    counts={"i": "encoder_layers", "j": "decoder_layers"},
    rows=[
        Row("encoder.conv1.weight", shape=("d_model", "num_mel_bins", 3)),
        Row("encoder.conv2.weight", shape=("d_model", "d_model", 3)),
        Row("encoder.{conv:conv1|conv2}.bias", shape=("d_model",)),
        Row("encoder.embed_positions.weight", shape=("max_source_positions", "d_model")),
        Row("decoder.embed_positions.weight", shape=("max_target_positions", "d_model")),
        Row("decoder.embed_tokens.weight", shape=("vocab_size", "d_model")),
        *(
            Row(f"{LAYERS[side]}.{name}.{part}.weight", shape=("d_model", "d_model"))
            for side, name, _ in ATTENTIONS
            for part, _ in PROJECTIONS
        ),
        *(
            Row(f"{LAYERS[side]}.{name}.{{part:q_proj|v_proj|out_proj}}.bias", shape=("d_model",))
            for side, name, _ in ATTENTIONS
        ),
        *(
            Row(f"{LAYERS[side]}.{name}_layer_norm.{P}", shape=("d_model",))
            for side, name, _ in ATTENTIONS
        ),
        *(
            row
            for side, layer in LAYERS.items()
            for row in (
                Row(f"{layer}.fc1.weight", shape=(f"{side}_ffn_dim", "d_model")),
                Row(f"{layer}.fc1.bias", shape=(f"{side}_ffn_dim",)),
                Row(f"{layer}.fc2.weight", shape=("d_model", f"{side}_ffn_dim")),
                Row(f"{layer}.fc2.bias", shape=("d_model",)),
                Row(f"{layer}.final_layer_norm.{P}", shape=("d_model",)),
                Row(f"{side}.layer_norm.{P}", shape=("d_model",)),
            )
        ),
        Row(
            "proj_out.weight",
            shape=("vocab_size", "d_model"),
            prefixed=False,
            tied="decoder.embed_tokens.weight",
            untied=("tie_word_embeddings", False),
        ),
    ],
)

OPENAI = Layout(
    "openai-whisper",
    base=HF,
    proof="openai-whisper gives the same logits",
    rows=[
        Row(f"encoder.{{conv:conv1|conv2}}.{P}"),
        Row("encoder.embed_positions.weight", "encoder.positional_embedding"),
        Row("decoder.embed_positions.weight", "decoder.positional_embedding"),
        Row("decoder.embed_tokens.weight", "decoder.token_embedding.weight"),
        *(
            Row(f"{LAYERS[side]}.{name}.{part}.weight", f"{BLOCKS[side]}.{attn}.{here}.weight")
            for side, name, attn in ATTENTIONS
            for part, here in PROJECTIONS
        ),
        *(
            Row(f"{LAYERS[side]}.{name}.{part}.bias", f"{BLOCKS[side]}.{attn}.{here}.bias")
            for side, name, attn in ATTENTIONS
            for part, here in PROJECTIONS
            if part != "k_proj"
        ),
        *(
            Row(f"{LAYERS[side]}.{name}_layer_norm.{P}", f"{BLOCKS[side]}.{attn}_ln.{P}")
            for side, name, attn in ATTENTIONS
        ),
        *(
            row
            for side, layer in LAYERS.items()
            for row in (
                Row(f"{layer}.fc1.{P}", f"{BLOCKS[side]}.mlp.0.{P}"),
                Row(f"{layer}.fc2.{P}", f"{BLOCKS[side]}.mlp.2.{P}"),
                Row(f"{layer}.final_layer_norm.{P}", f"{BLOCKS[side]}.mlp_ln.{P}"),
            )
        ),
        Row(f"encoder.layer_norm.{P}", f"encoder.ln_post.{P}"),
        Row(f"decoder.layer_norm.{P}", f"decoder.ln.{P}"),
        Lacks(
            "proj_out.weight",
            "openai-whisper computes the output with the token embedding",
            tied="decoder.embed_tokens.weight",
        ),
    ],
)

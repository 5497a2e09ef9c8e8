"""CLIP with a vision transformer: Hugging Face's names, and OpenAI's, which open_clip has too.

The two towers are apart in many files: the text model of Stable Diffusion, the vision model of an
image encoder. OpenAI's names have the queries, keys and values in one matrix and the projections
transposed.
"""

from __future__ import annotations

from caten_sd.mapping.assembly import Concat
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Drop, Row

P = "{p:weight|bias}"
QKV = ("q_proj", "k_proj", "v_proj")
SAVED = "transformers saves the same keys"
POSITIONS = "embeddings.position_ids"
COUNTED = "the positions in order, which are counted"
NO_SCALE = "the scale of similarities to images, which a text model does not use"


def _layers(start: str, word: str, index: str) -> tuple[Row, ...]:
    """Return the rows of a tower's layers, with the sizes of the tower."""
    layer, width, inner = f"{start}encoder.layers.{index}", f"{word}_width", f"{word}_inner"
    return (
        Row(f"{layer}.self_attn.{{part:q_proj|k_proj|v_proj}}.weight", shape=(width, width)),
        Row(f"{layer}.self_attn.{{part:q_proj|k_proj|v_proj}}.bias", shape=(width,)),
        Row(f"{layer}.self_attn.out_proj.weight", shape=(width, width)),
        Row(f"{layer}.self_attn.out_proj.bias", shape=(width,)),
        Row(f"{layer}.{{norm:layer_norm1|layer_norm2}}.{P}", shape=(width,)),
        Row(f"{layer}.mlp.fc1.weight", shape=(inner, width)),
        Row(f"{layer}.mlp.fc1.bias", shape=(inner,)),
        Row(f"{layer}.mlp.fc2.weight", shape=(width, inner)),
        Row(f"{layer}.mlp.fc2.bias", shape=(width,)),
    )


def _text(start: str) -> tuple[Row, ...]:
    return (
        Row(f"{start}embeddings.token_embedding.weight", shape=("vocab_size", "text_width")),
        Row(f"{start}embeddings.position_embedding.weight", shape=("n_positions", "text_width")),
        *_layers(start, "text", "{i}"),
        Row(f"{start}final_layer_norm.{P}", shape=("text_width",)),
    )


def _vision(start: str) -> tuple[Row, ...]:
    return (
        Row(f"{start}embeddings.class_embedding", shape=("vision_width",)),
        Row(
            f"{start}embeddings.patch_embedding.weight",
            shape=("vision_width", "num_channels", "patch_size", "patch_size"),
        ),
        Row(
            f"{start}embeddings.position_embedding.weight",
            shape=("num_patches+1", "vision_width"),
        ),
        Row(f"{start}pre_layrnorm.{P}", shape=("vision_width",)),
        *_layers(start, "vision", "{j}"),
        Row(f"{start}post_layernorm.{P}", shape=("vision_width",)),
    )


def _openai_layers(start: str, here: str, index: str) -> tuple[Row, ...]:
    layer, block = f"{start}encoder.layers.{index}", f"{here}transformer.resblocks.{index}"
    weights, biases = (
        tuple(f"{layer}.self_attn.{part}.{kind}" for part in QKV) for kind in ("weight", "bias")
    )
    return (
        Row(weights, f"{block}.attn.in_proj_weight", Concat((1, 1, 1))),
        Row(biases, f"{block}.attn.in_proj_bias", Concat((1, 1, 1))),
        Row(f"{layer}.self_attn.out_proj.{P}", f"{block}.attn.out_proj.{P}"),
        Row(f"{layer}.layer_norm1.{P}", f"{block}.ln_1.{P}"),
        Row(f"{layer}.layer_norm2.{P}", f"{block}.ln_2.{P}"),
        Row(f"{layer}.mlp.fc1.{P}", f"{block}.mlp.c_fc.{P}"),
        Row(f"{layer}.mlp.fc2.{P}", f"{block}.mlp.c_proj.{P}"),
    )


def _openai_text(start: str) -> tuple[Row, ...]:
    return (
        Row(f"{start}embeddings.token_embedding.weight", "token_embedding.weight"),
        Row(f"{start}embeddings.position_embedding.weight", "positional_embedding"),
        *_openai_layers(start, "", "{i}"),
        Row(f"{start}final_layer_norm.{P}", f"ln_final.{P}"),
    )


def _openai_vision(start: str) -> tuple[Row, ...]:
    return (
        Row(f"{start}embeddings.class_embedding", "visual.class_embedding"),
        Row(f"{start}embeddings.patch_embedding.weight", "visual.conv1.weight"),
        Row(f"{start}embeddings.position_embedding.weight", "visual.positional_embedding"),
        Row(f"{start}pre_layrnorm.{P}", f"visual.ln_pre.{P}"),
        *_openai_layers(start, "visual.", "{j}"),
        Row(f"{start}post_layernorm.{P}", f"visual.ln_post.{P}"),
    )


HF = Layout(
    "hf-clip",
    architecture="clip",
    proof=SAVED,
    counts={"i": "text_layers", "j": "vision_layers"},
    rows=[
        *_text("text_model."),
        *_vision("vision_model."),
        Row("text_projection.weight", shape=("projection_dim", "text_width")),
        Row("visual_projection.weight", shape=("projection_dim", "vision_width")),
        Row("logit_scale", shape=()),
        Drop(f"text_model.{POSITIONS}", COUNTED, shape=(1, "n_positions")),
        Drop(f"vision_model.{POSITIONS}", COUNTED, shape=(1, "n_positions")),
    ],
)

OPENAI = Layout(
    "openai-clip",
    base=HF,
    proof="OpenAI's CLIP gives the same similarities",
    rows=[
        *_openai_text("text_model."),
        *_openai_vision("vision_model."),
        Row("text_projection.weight", "text_projection", Transpose()),
        Row("visual_projection.weight", "visual.proj", Transpose()),
        Row("logit_scale"),
        Drop("{size:input_resolution|context_length|vocab_size}", "a size of the model", shape=()),
        Drop("attn_mask", "the causal mask, which is computed", shape=("n", "n")),
    ],
)

HF_TEXT = Layout(
    "hf-clip-text",
    architecture="clip-text",
    proof=SAVED,
    model_types=("clip_text_model",),
    prefixes=("text_model.", ""),
    counts={"i": "text_layers"},
    rows=[
        *_text(""),
        Row(
            "text_projection.weight",
            shape=("projection_dim", "text_width"),
            prefixed=False,
            optional=True,
        ),
        Drop(POSITIONS, COUNTED, shape=(1, "n_positions")),
    ],
)

OPENAI_TEXT = Layout(
    "openai-clip-text",
    base=HF_TEXT,
    proof="diffusers converts the text model of a file of Stable Diffusion XL to the same tensors",
    rows=[
        *_openai_text(""),
        Row("text_projection.weight", "text_projection", Transpose(), optional=True),
        Drop("logit_scale", NO_SCALE, shape=()),
        Drop("attn_mask", "the causal mask, which is computed", shape=("n", "n")),
    ],
)

HF_VISION = Layout(
    "hf-clip-vision",
    architecture="clip-vision",
    proof=SAVED,
    model_types=("clip_vision_model",),
    prefixes=("vision_model.", ""),
    counts={"j": "vision_layers"},
    rows=[
        *_vision(""),
        Row(
            "visual_projection.weight",
            shape=("projection_dim", "vision_width"),
            prefixed=False,
            optional=True,
        ),
        Drop(POSITIONS, COUNTED, shape=(1, "n_positions")),
    ],
)

OPENAI_VISION = Layout(
    "openai-clip-vision",
    base=HF_VISION,
    proof="OpenAI's CLIP gives the same images",
    rows=[
        *_openai_vision(""),
        Row("visual_projection.weight", "visual.proj", Transpose(), optional=True),
    ],
)

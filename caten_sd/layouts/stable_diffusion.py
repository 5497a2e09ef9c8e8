"""Stable Diffusion 1.5 and XL: diffusers' names, and those of latent diffusion (ldm).

A file for other programs than diffusers has ldm's names, and the UNet, the VAE and the text models
together. A UNet has 2 layers to a block of diffusers and 3 on the way up, and each layer is a block
of ldm, as is what halves the size after them.
"""

from __future__ import annotations

from caten_sd.mapping.bundles import bundle
from caten_sd.mapping.extension import extend
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rearrange import Rearrange
from caten_sd.mapping.rows import Drop, Row, canonical_rows

P = "{p:weight|bias}"
SIDES, ATTENTION = ("encoder", "decoder"), "mid_block.attentions.0"
BUILT = "diffusers builds the same keys"
CONVERTED = "diffusers converts the same file to the same tensors"
UNET_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
)
VAE_RESNET = (
    ("norm1", "norm1"),
    ("conv1", "conv1"),
    ("norm2", "norm2"),
    ("conv2", "conv2"),
    ("conv_shortcut", "nin_shortcut"),
)
TRANSFORMER = (
    f"{{name:norm|proj_in|proj_out}}.{P}",
    f"transformer_blocks.{{k}}.{{norm:norm1|norm2|norm3}}.{P}",
    "transformer_blocks.{k}.{attn:attn1|attn2}.{part:to_q|to_k|to_v}.weight",
    f"transformer_blocks.{{k}}.{{attn:attn1|attn2}}.to_out.0.{P}",
    f"transformer_blocks.{{k}}.ff.net.0.proj.{P}",
    f"transformer_blocks.{{k}}.ff.net.2.{P}",
)
# diffusers' name, its older name, and that of ldm, where it is a convolution
VAE_ATTENTION = (
    ("to_q", "query", "q"),
    ("to_k", "key", "k"),
    ("to_v", "value", "v"),
    ("to_out.0", "proj_attn", "proj_out"),
)


def _resnet(
    canonical: str, here: str, where: str, names: tuple[tuple[str, str], ...] = UNET_RESNET
) -> tuple[Row, ...]:
    """Return the rows of the residual blocks of a place; only some have a shortcut."""
    return tuple(
        Row(
            f"{canonical}.{name}.{P}",
            f"{here}.{ldm}.{P}",
            where=where,
            optional=name == "conv_shortcut",
        )
        for name, ldm in names
    )


def _transformer(canonical: str, here: str, where: str) -> tuple[Row, ...]:
    return tuple(Row(f"{canonical}.{n}", f"{here}.{n}", where=where) for n in TRANSFORMER)


def _unet(levels: int, down: str, up: str) -> tuple[Row, ...]:
    """Return the rows of a UNet, with where transformers are among its down and its up blocks."""
    return (
        Row("conv_in.weight", "input_blocks.0.0.weight", shape=("channels", "in_channels", 3, 3)),
        Row("conv_in.bias", "input_blocks.0.0.bias", shape=("channels",)),
        Row(f"time_embedding.linear_1.{P}", f"time_embed.0.{P}"),
        Row(f"time_embedding.linear_2.{P}", f"time_embed.2.{P}"),
        *_resnet(
            "down_blocks.{a}.resnets.{j}",
            "input_blocks.{3*a+j+1}.0",
            f"a < {levels} and j < 2",
        ),
        *_transformer(
            "down_blocks.{a}.attentions.{j}", "input_blocks.{3*a+j+1}.1", f"{down} and j < 2"
        ),
        Row(
            f"down_blocks.{{a}}.downsamplers.0.conv.{P}",
            f"input_blocks.{{3*a+3}}.0.op.{P}",
            where=f"a < {levels - 1}",
        ),
        *_resnet("mid_block.resnets.{j}", "middle_block.{2*j}", "j < 2"),
        *_transformer("mid_block.attentions.0", "middle_block.1", ""),
        *_resnet("up_blocks.{a}.resnets.{j}", "output_blocks.{3*a+j}.0", f"a < {levels} and j < 3"),
        *_transformer("up_blocks.{a}.attentions.{j}", "output_blocks.{3*a+j}.1", f"{up} and j < 3"),
        Row(f"conv_norm_out.{P}", f"out.0.{P}"),
        Row("conv_out.weight", "out.2.weight", shape=("out_channels", "channels", 3, 3)),
        Row("conv_out.bias", "out.2.bias", shape=("out_channels",)),
    )


# What doubles the size comes after the transformer of the last layer, where there is one.
SD_ROWS = (
    *_unet(4, "a < 3", "a > 0 and a < 4"),
    Row(f"up_blocks.0.upsamplers.0.conv.{P}", f"output_blocks.2.1.conv.{P}"),
    Row(
        f"up_blocks.{{a}}.upsamplers.0.conv.{P}",
        f"output_blocks.{{3*a+2}}.2.conv.{P}",
        where="a > 0 and a < 3",
    ),
)
SDXL_ROWS = (
    *_unet(3, "a > 0 and a < 3", "a < 2"),
    Row(f"add_embedding.linear_1.{P}", f"label_emb.0.0.{P}"),
    Row(f"add_embedding.linear_2.{P}", f"label_emb.0.2.{P}"),
    Row(
        f"up_blocks.{{a}}.upsamplers.0.conv.{P}",
        f"output_blocks.{{3*a+2}}.2.conv.{P}",
        where="a < 2",
    ),
)


def _vae_side(side: str) -> tuple[Row, ...]:
    """Return the rows that the encoder and the decoder of a VAE have alike, but the attention's."""
    return (
        Row(f"{side}.conv_in.{P}"),
        *_resnet(
            f"{side}.mid_block.resnets.{{j}}", f"{side}.mid.block_{{j+1}}", "j < 2", VAE_RESNET
        ),
        Row(f"{side}.{ATTENTION}.group_norm.{P}", f"{side}.mid.attn_1.norm.{P}"),
        Row(f"{side}.conv_norm_out.{P}", f"{side}.norm_out.{P}"),
        Row(f"{side}.conv_out.{P}"),
    )


VAE_LEVELS = 4
VAE_ROWS = (
    *_vae_side("encoder"),
    *_resnet("encoder.down_blocks.{a}.resnets.{j}", "encoder.down.{a}.block.{j}", "", VAE_RESNET),
    Row(
        f"encoder.down_blocks.{{a}}.downsamplers.0.conv.{P}",
        f"encoder.down.{{a}}.downsample.conv.{P}",
    ),
    *_vae_side("decoder"),
    # ldm counts the blocks of the decoder from the last one.
    *(
        row
        for level in range(VAE_LEVELS)
        for row in _resnet(
            f"decoder.up_blocks.{level}.resnets.{{j}}",
            f"decoder.up.{VAE_LEVELS - 1 - level}.block.{{j}}",
            "",
            VAE_RESNET,
        )
    ),
    *(
        Row(
            f"decoder.up_blocks.{level}.upsamplers.0.conv.{P}",
            f"decoder.up.{VAE_LEVELS - 1 - level}.upsample.conv.{P}",
        )
        for level in range(VAE_LEVELS - 1)
    ),
    Row(f"quant_conv.{P}"),
    Row(f"post_quant_conv.{P}"),
)

DIFFUSERS_SD_UNET = Layout(
    "diffusers-sd-unet",
    canonical_rows(SD_ROWS),
    architecture="sd-unet",
    proof=BUILT,
)
LDM_SD_UNET = Layout(
    "ldm-sd-unet",
    SD_ROWS,
    base=DIFFUSERS_SD_UNET,
    prefixes=("model.diffusion_model.", ""),
    proof=CONVERTED,
)
DIFFUSERS_SDXL_UNET = Layout(
    "diffusers-sdxl-unet",
    canonical_rows(SDXL_ROWS),
    architecture="sdxl-unet",
    proof=BUILT,
)
LDM_SDXL_UNET = Layout(
    "ldm-sdxl-unet",
    SDXL_ROWS,
    base=DIFFUSERS_SDXL_UNET,
    prefixes=("model.diffusion_model.", ""),
    proof=CONVERTED,
)
DIFFUSERS_VAE = Layout(
    "diffusers-vae",
    [
        *canonical_rows(VAE_ROWS),
        *(
            Row(f"{side}.{ATTENTION}.{name}.{P}", also=f"{side}.{ATTENTION}.{older}.{P}")
            for side in SIDES
            for name, older, _ in VAE_ATTENTION
        ),
    ],
    architecture="sd-vae",
    proof=BUILT,
)
LDM_VAE = Layout(
    "ldm-vae",
    [
        *VAE_ROWS,
        *(
            row
            for side in SIDES
            for name, _, ldm in VAE_ATTENTION
            for attention, here in [(f"{side}.{ATTENTION}.{name}", f"{side}.mid.attn_1.{ldm}")]
            for row in (
                Row(f"{attention}.weight", f"{here}.weight", Rearrange("o i -> o i 1 1")),
                Row(f"{attention}.bias", f"{here}.bias"),
            )
        ),
        Drop("loss.{path...}", "what the VAE was trained with"),
    ],
    base=DIFFUSERS_VAE,
    prefixes=("", "first_stage_model."),
    proof=CONVERTED,
)

TEXT, OPENAI_TEXT = find_layout("hf-clip-text"), find_layout("openai-clip-text")
IN_TRAINING = (
    Drop("model_ema.{name}", "the running mean of the UNet's weights in training"),
    *(
        Drop(name, "the noise schedule, which is computed")
        for name in (
            "{name:betas|sqrt_alphas_cumprod|sqrt_one_minus_alphas_cumprod|logvar}",
            "{name:alphas_cumprod|alphas_cumprod_prev|log_one_minus_alphas_cumprod}",
            "{name:sqrt_recip_alphas_cumprod|sqrt_recipm1_alphas_cumprod}",
            "{name:posterior_variance|posterior_log_variance_clipped}",
            "{name:posterior_mean_coef1|posterior_mean_coef2}",
            "denoiser.sigmas",
        )
    ),
)

DIFFUSERS_SD = bundle(
    "diffusers-sd",
    {
        "unet": ("unet.", DIFFUSERS_SD_UNET),
        "vae": ("vae.", DIFFUSERS_VAE),
        "text_encoder": ("text_encoder.", TEXT),
    },
    architecture="sd",
    proof="diffusers builds the same keys in each folder",
)
LDM_SD = bundle(
    "ldm-sd",
    {
        "unet": (
            "model.diffusion_model.",
            extend(LDM_SD_UNET, "ldm-sd-unet", base=DIFFUSERS_SD_UNET, prefixes=("",)),
        ),
        "vae": (
            "first_stage_model.",
            extend(LDM_VAE, "ldm-vae", base=DIFFUSERS_VAE, prefixes=("",)),
        ),
        "text_encoder": ("cond_stage_model.transformer.", TEXT),
    },
    IN_TRAINING,
    base=DIFFUSERS_SD,
    proof="diffusers converts each model of the file to the same tensors",
)
DIFFUSERS_SDXL = bundle(
    "diffusers-sdxl",
    {
        "unet": ("unet.", DIFFUSERS_SDXL_UNET),
        "vae": ("vae.", DIFFUSERS_VAE),
        "text_encoder": ("text_encoder.", TEXT),
        "text_encoder_2": ("text_encoder_2.", TEXT),
    },
    architecture="sdxl",
    proof="diffusers builds the same keys in each folder",
)
LDM_SDXL = bundle(
    "ldm-sdxl",
    {
        "unet": (
            "model.diffusion_model.",
            extend(LDM_SDXL_UNET, "ldm-sdxl-unet", base=DIFFUSERS_SDXL_UNET, prefixes=("",)),
        ),
        "vae": (
            "first_stage_model.",
            extend(LDM_VAE, "ldm-vae", base=DIFFUSERS_VAE, prefixes=("",)),
        ),
        "text_encoder": ("conditioner.embedders.0.transformer.", TEXT),
        "text_encoder_2": ("conditioner.embedders.1.model.", OPENAI_TEXT),
    },
    IN_TRAINING,
    base=DIFFUSERS_SDXL,
    proof="diffusers converts each model of the file to the same tensors",
)

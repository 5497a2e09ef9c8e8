"""Stable Diffusion 1.5 and XL: diffusers, and one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from caten_sd import convert, detect_layout
from caten_sd.layouts.clip import HF_TEXT, OPENAI_TEXT
from caten_sd.layouts.stable_diffusion import DIFFUSERS_VAE, LDM_SD, LDM_SDXL
from caten_sd.mapping.known import known_layout
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from tests.layouts.key_lists import check_detected, listed_pairs, shapes, tensors

PARTS = {
    "sd-unet.txt.gz": ("diffusers-sd-unet", "ldm-sd-unet"),
    "sdxl-unet.txt.gz": ("diffusers-sdxl-unet", "ldm-sdxl-unet"),
    "sd-vae.txt.gz": ("diffusers-vae", "ldm-vae"),
}
SD_LEVELS = (32, 64, 128, 128)
SDXL = {
    "block_out_channels": (32, 64, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (4, 8, 8),
    "cross_attention_dim": 16,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24,
    "use_linear_projection": True,
}
SIZES = {
    "sd-unet.txt.gz": {
        "block_out_channels": SD_LEVELS,
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
    },
    "sdxl-unet.txt.gz": SDXL,
    "sd-vae.txt.gz": {
        "block_out_channels": SD_LEVELS,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    },
}


@pytest.mark.parametrize(
    "name",
    ["sd-unet.txt.gz", "sd-vae.txt.gz", pytest.param("sdxl-unet.txt.gz", marks=pytest.mark.slow)],
)
def test_a_model_alone_has_the_names_and_shapes_of_the_list(name: str) -> None:
    names, theirs, ldm = listed_pairs(name)
    diffusers, other = map(known_layout, PARTS[name])
    check_detected(theirs, diffusers.name)
    check_detected(ldm, other.name)
    found = to_layout(theirs, other, strict=True)
    assert dict(zip(theirs, found, strict=True)) == names
    assert shapes(found) == shapes(ldm)
    back = to_layout(ldm, diffusers, strict=True)
    assert list(back) == list(theirs)
    assert shapes(back) == shapes(theirs)


def text_model(width: int, layers: int) -> dict[str, Any]:
    sizes = {"intermediate_size": 4 * width, "num_attention_heads": 8, "projection_dim": width}
    with torch.device("meta"):
        config = CLIPTextConfig(hidden_size=width, num_hidden_layers=layers, **sizes)
        return CLIPTextModelWithProjection(config).state_dict()


def with_start(start: str, state: Any) -> dict[str, Any]:
    return {start + key: leaf for key, leaf in state.items()}


def whole_file(*, xl: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors of a whole pipeline in one file, and in diffusers' folders."""
    _, unet, ldm_unet = listed_pairs("sdxl-unet.txt.gz" if xl else "sd-unet.txt.gz")
    _, vae, ldm_vae = listed_pairs("sd-vae.txt.gz")
    text = text_model(768, 12)
    text.pop("text_projection.weight")
    start = "conditioner.embedders.0.transformer." if xl else "cond_stage_model.transformer."
    file = {**ldm_unet, **with_start("first_stage_model.", ldm_vae), **with_start(start, text)}
    folder = {
        **with_start("unet.", unet),
        **with_start("vae.", vae),
        **with_start("text_encoder.", text),
    }
    if xl:
        second = text_model(1280, 4)
        openai = to_layout(second, OPENAI_TEXT, from_layout=HF_TEXT, strict=True)
        file |= with_start("conditioner.embedders.1.model.", openai)
        folder |= with_start("text_encoder_2.", second)
    return file, folder


IN_FILES = {
    "alphas_cumprod": torch.ones(1000),
    "betas": torch.ones(1000),
    "model_ema.decay": torch.tensor(0.99),
    "model_ema.diffusion_modelinput_blocks00weight": torch.ones(2),
}


@pytest.mark.parametrize("xl", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_file_for_other_programs_becomes_the_folders_of_diffusers(xl: bool) -> None:
    file, folder = whole_file(xl=xl)
    ldm = LDM_SDXL if xl else LDM_SD
    check_detected({**file, **IN_FILES}, ldm.name)
    plan = plan_layout({**file, **IN_FILES}, ldm.name.replace("ldm", "diffusers"))
    assert not plan.findings.complaint
    assert set(plan.findings.dropped) == set(IN_FILES)
    assert shapes(plan.state_dict) == shapes(folder)
    check_detected(folder, ldm.name.replace("ldm", "diffusers"))
    assert shapes(to_layout(folder, ldm, strict=True)) == shapes(file)


@pytest.mark.slow
def test_the_text_model_of_xl_may_have_what_it_does_not_use() -> None:
    file, folder = whole_file(xl=True)
    file["conditioner.embedders.1.model.logit_scale"] = torch.tensor(4.6)
    plan = plan_layout(file, "diffusers-sdxl")
    assert list(plan.findings.dropped) == ["conditioner.embedders.1.model.logit_scale"]
    assert set(plan.state_dict) == set(folder)


def test_older_names_of_the_vae_s_attention_are_read() -> None:
    _, vae, _ = listed_pairs("sd-vae.txt.gz")
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    older = {}
    for key, leaf in vae.items():
        for new, old in names.items():
            key = key.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        older[key] = leaf
    assert len(older.keys() - vae.keys()) == 16
    check_detected(older, "diffusers-vae")
    assert list(to_layout(older, DIFFUSERS_VAE, from_layout=DIFFUSERS_VAE)) == list(older)
    assert list(to_layout(to_layout(older, "ldm-vae"), DIFFUSERS_VAE)) == list(vae)


def test_the_refiner_of_xl_is_not_taken_for_the_base_model() -> None:
    """It has four levels, the inner two with transformers, so its blocks lie elsewhere."""
    _, unet, _ = listed_pairs("sdxl-unet.txt.gz")
    deeper = {
        key.replace("down_blocks.2", "down_blocks.3"): leaf
        for key, leaf in unet.items()
        if key.startswith("down_blocks.2.resnets")
    }
    found = detect_layout({**unet, **deeper})
    assert found.layout is None
    assert found.similar is known_layout("diffusers-sdxl-unet")


def model_of(name: str, *, small: bool) -> Any:
    """Return a model of diffusers: a small random one, or one of full size without values."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    kind = diffusers.AutoencoderKL if name == "sd-vae.txt.gz" else diffusers.UNet2DConditionModel
    if small:
        torch.manual_seed(0)
        return kind(**SIZES[name])
    levels = {"block_out_channels": (320, 640, 1280)} if name == "sdxl-unet.txt.gz" else {}
    full = {"attention_head_dim": 8, "cross_attention_dim": 768}
    sizes = {**SIZES[name], **(full if name == "sd-unet.txt.gz" else {}), **levels}
    if name == "sdxl-unet.txt.gz":
        sizes |= {"attention_head_dim": (5, 10, 20), "cross_attention_dim": 2048}
        sizes |= {"addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}
    else:
        wide = (128, 256, 512, 512) if name == "sd-vae.txt.gz" else (320, 640, 1280, 1280)
        sizes["block_out_channels"] = wide
    with torch.device("meta"):
        return kind(**sizes)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_the_lists_are_those_of_diffusers(name: str) -> None:
    _, listed, _ = listed_pairs(name)
    assert shapes(model_of(name, small=False).state_dict()) == shapes(listed)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_diffusers_converts_to_the_same_tensors(name: str) -> None:
    model = model_of(name, small=True)
    given, config = model.state_dict(), dict(model.config)
    from diffusers.loaders import single_file_utils

    file = tensors(to_layout(given, PARTS[name][1], strict=True))
    if name == "sd-vae.txt.gz":
        found = single_file_utils.convert_ldm_vae_checkpoint(dict(file), config)
    else:
        found = single_file_utils.convert_ldm_unet_checkpoint(dict(file), config)
    assert found.keys() == given.keys()
    assert all(torch.equal(found[key], given[key]) for key in given)
    back = tensors(to_layout(file, PARTS[name][0], strict=True))
    assert all(torch.equal(back[key], given[key]) for key in given)


@pytest.mark.slow
def test_diffusers_converts_the_text_model_of_xl_to_the_same_tensors() -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, projection_dim=16
    )
    model = CLIPTextModelWithProjection(config)
    given = model.state_dict()
    start = "conditioner.embedders.1.model."
    file = with_start(start, tensors(to_layout(given, OPENAI_TEXT, strict=True)))
    found = convert_open_clip_checkpoint(model, file, prefix=start)
    assert found.keys() == given.keys()
    assert all(torch.equal(found[key], given[key]) for key in given)


@pytest.mark.slow
def test_a_ckpt_file_becomes_the_whole_pipeline_or_one_folder(tmp_path: Path) -> None:
    unet, vae = (model_of(name, small=True).state_dict() for name in list(PARTS)[::2])
    text = CLIPTextModelWithProjection(CLIPTextConfig(hidden_size=16, num_hidden_layers=2))
    parts = {
        "model.diffusion_model": ("diffusers-sd-unet", "unet.", unet),
        "first_stage_model": ("diffusers-vae", "vae.", vae),
        "cond_stage_model.transformer": ("hf-clip-text", "text_encoder.", text.state_dict()),
    }
    whole: dict[str, Any] = {}
    for _, start, given in parts.values():
        whole |= with_start(start, given)
    file = tensors(to_layout(whole, LDM_SD, strict=True))
    source, target = tmp_path / "model.ckpt", tmp_path / "out.safetensors"
    torch.save({"state_dict": {**file, **IN_FILES}, "global_step": 3}, source)
    expected = {None: ("diffusers-sd", whole)}
    expected |= {f"state_dict.{root}": (name, given) for root, (name, _, given) in parts.items()}
    for root, (name, given) in expected.items():
        convert(source, target, layout=name, root=root)
        found = load_file(target)
        assert found.keys() == given.keys()
        assert all(torch.equal(found[key], given[key]) for key in given)

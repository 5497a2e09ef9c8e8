"""Adapters of kohya in the names of ldm, which Stable Diffusion XL is trained with."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caten_sd import detect_layout
from caten_sd.layouts.kohya_ldm import SD, SDXL
from caten_sd.layouts.lora import DIFFUSERS, KOHYA, PEFT
from caten_sd.mapping.layout_plan import to_layout
from tests.layouts.key_lists import listed_pairs

RANK = 4
LAYERS = {  # a layer in the names of kohya, and in those of diffusers
    "unet_input_blocks_4_1_transformer_blocks_1_attn1_to_out_0": (
        "unet.down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_out.0"
    ),
    "unet_middle_block_1_transformer_blocks_9_ff_net_0_proj": (
        "unet.mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj"
    ),
    "unet_output_blocks_5_1_proj_in": "unet.up_blocks.1.attentions.2.proj_in",
    "unet_input_blocks_3_0_op": "unet.down_blocks.0.downsamplers.0.conv",
    "unet_output_blocks_2_2_conv": "unet.up_blocks.0.upsamplers.0.conv",
    "unet_input_blocks_7_0_emb_layers_1": "unet.down_blocks.2.resnets.0.time_emb_proj",
    "unet_input_blocks_4_0_skip_connection": "unet.down_blocks.1.resnets.0.conv_shortcut",
    "unet_label_emb_0_2": "unet.add_embedding.linear_2",
    "unet_time_embed_0": "unet.time_embedding.linear_1",
    "unet_input_blocks_0_0": "unet.conv_in",
    "unet_out_2": "unet.conv_out",
    "te1_text_model_encoder_layers_11_self_attn_q_proj": (
        "text_encoder.text_model.encoder.layers.11.self_attn.q_proj"
    ),
    "te2_text_model_encoder_layers_31_mlp_fc2": (
        "text_encoder_2.text_model.encoder.layers.31.mlp.fc2"
    ),
    "te2_text_projection": "text_encoder_2.text_projection",
}


def adapter(layers: Any = LAYERS, alpha: float = RANK) -> dict[str, Any]:
    """Return pairs under the names of kohya."""
    return {
        f"lora_{layer}.{name}": leaf
        for layer in layers
        for name, leaf in (
            ("lora_down.weight", np.ones((RANK, 8), "f4")),
            ("lora_up.weight", np.ones((8, RANK), "f4")),
            ("alpha", np.array(alpha, "f4")),
        )
    }


def test_all_names_are_told_without_the_keys_of_a_model_and_come_back() -> None:
    file = adapter()
    found = detect_layout(file)
    assert found.layout is SDXL, str(found)
    names = to_layout(file, DIFFUSERS, strict=True)
    assert list(names) == [
        f"{layer}.lora_{side}.weight" for layer in LAYERS.values() for side in "AB"
    ]
    back = to_layout(names, SDXL, strict=True)
    assert set(back) == set(file)
    assert all(back[key] is file[key] for key in file if not key.endswith("alpha"))


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        ("unet_output_blocks_9_1_proj_in", SD),  # the fourth level, which XL does not have
        ("unet_output_blocks_2_1_conv", SD),
        ("unet_down_blocks_1_attentions_0_proj_in", KOHYA),
    ],
)
def test_other_models_have_other_names(layer: str, layout: Any) -> None:
    found = detect_layout(adapter([layer]))
    assert found.layout is layout, str(found)


def test_names_that_both_models_have_mean_the_same() -> None:
    layer = "unet_middle_block_1_proj_in"
    assert detect_layout(adapter([layer])).layout in (SD, SDXL)
    for layout in (SD, SDXL):
        names = to_layout(adapter([layer]), PEFT, from_layout=layout, lora_alpha=RANK)
        assert next(iter(names)).startswith(
            "base_model.model.unet.mid_block.attentions.0.proj_in.lora_A"
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdxl-unet.txt.gz", "sd-unet.txt.gz"])
def test_diffusers_converts_all_layers_to_the_same_names_and_values(name: str) -> None:
    pytest.importorskip("diffusers", reason="it is the oracle")
    from diffusers.loaders import lora_conversion_utils as own
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    torch = pytest.importorskip("torch")
    ldm = listed_pairs(name)[2]
    layout = SDXL if "xl" in name else SD
    paths = [
        key.removeprefix("model.diffusion_model.").removesuffix(".weight")
        for key, leaf in ldm.items()
        if key.endswith(".weight") and leaf.ndim > 1
    ]
    if layout is SD:  # it takes block 10 for block 1, and this layer for an attention
        paths = [path for path in paths if not re.search(r"blocks\.1[01]|blocks\.2\.1\.conv", path)]
    given = adapter([f"unet_{path.replace('.', '_')}" for path in paths], alpha=1)
    # Every tensor is another one, so that none can take the place of another.
    file = {
        key: torch.full(leaf.shape, 1.0 if key.endswith("alpha") else float(n))
        for n, (key, leaf) in enumerate(given.items())
    }
    found = to_layout(file, PEFT, from_layout=layout, lora_alpha=1, silent=True)
    mapped = own._maybe_map_sgm_blocks_to_diffusers(dict(file), SimpleNamespace(layers_per_block=2))
    older, _ = own._convert_non_diffusers_lora_to_diffusers(mapped)
    expected = convert_unet_state_dict_to_peft(older)
    named = {key.removeprefix("base_model.model."): leaf for key, leaf in found.items()}
    assert named.keys() == expected.keys()
    assert all(torch.equal(torch.as_tensor(named[key]), expected[key]) for key in expected)

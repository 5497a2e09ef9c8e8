"""LoRA: peft, diffusers and kohya, and the scale that each gives a pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caten_sd import StateDict
from caten_sd.errors import LayoutError
from caten_sd.layouts.lora import DIFFUSERS, KOHYA, PEFT, PEFT_LIVE, PROCESSORS
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from tests.layouts.key_lists import check_detected, tensors

RANK = 4
UNET = "down_blocks.0.attentions.1.transformer_blocks.0.attn1"
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"
LAYERS = [f"unet.{UNET}.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")]
MODEL_KEYS = [f"{UNET}.{name}.weight" for name in ("to_q", "to_k", "to_v", "to_out.0")]
MODEL_KEYS.append(f"{TEXT}.weight")


def pairs(layers: list[str], dtype: Any = "f4") -> dict[str, Any]:
    """Return pairs of random matrices under the names of diffusers."""
    generator = np.random.default_rng(0)
    return {
        f"{layer}.{name}.weight": generator.normal(size=shape).astype(dtype)
        for layer in layers
        for name, shape in (("lora_A", (RANK, 8)), ("lora_B", (8, RANK)))
    }


def same(one: Any, other: Any) -> bool:
    return dict(one).keys() == dict(other).keys() and all(
        np.array_equal(np.asarray(one[key]), np.asarray(other[key])) for key in one
    )


def test_a_file_of_peft_has_the_names_of_a_live_model_and_back() -> None:
    start = "base_model.model.model.layers.0.self_attn.q_proj"
    file = pairs([start])
    file[f"{start}.lora_magnitude_vector"] = np.ones(8)
    file["base_model.model.model.embed.lora_embedding_A"] = np.ones((4, 9))
    check_detected(file, "peft-lora")
    live = to_layout(file, PEFT_LIVE, strict=True)
    assert list(live)[2:] == [
        f"{start}.lora_magnitude_vector.default.weight",
        "base_model.model.model.embed.lora_embedding_A.default",
    ]
    check_detected(live, "peft-lora-live")
    assert same(to_layout(live, PEFT, strict=True), file)


def test_kohya_s_names_come_back_against_the_keys_of_the_models() -> None:
    given = pairs([*LAYERS, f"text_encoder.{TEXT}", f"text_encoder_2.{TEXT}"])
    check_detected(given, "diffusers-lora")
    file = to_layout(given, KOHYA, strict=True)
    check_detected(file, "kohya-lora")
    start = "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0"
    assert float(file[f"{start}.alpha"]) == RANK
    assert file[f"{start}.lora_up.weight"] is given[f"{LAYERS[-1]}.lora_B.weight"]
    assert {key.partition("_text")[0] for key in file if "te" in key[:8]} == {
        "lora_te1",
        "lora_te2",
    }
    assert same(to_layout(file, DIFFUSERS, against=MODEL_KEYS, strict=True), given)
    with pytest.raises(LayoutError, match=r"only the keys of the model .* against="):
        to_layout(file, DIFFUSERS)


def test_kohya_s_name_of_an_only_text_encoder_is_read() -> None:
    file = to_layout(pairs([f"text_encoder.{TEXT}"]), KOHYA, strict=True)
    older = {key.replace("lora_te1_", "lora_te_"): leaf for key, leaf in file.items()}
    assert same(to_layout(older, DIFFUSERS, strict=True), pairs([f"text_encoder.{TEXT}"]))
    found = to_layout(older, DIFFUSERS, against=MODEL_KEYS, strict=True)
    assert same(found, pairs([f"text_encoder.{TEXT}"]))


def test_a_layer_that_the_model_does_not_have_is_not_guessed() -> None:
    file = to_layout(pairs(LAYERS), KOHYA, strict=True)
    plan = plan_layout(file, DIFFUSERS, against=MODEL_KEYS[:1], from_layout=KOHYA)
    assert len(plan.findings.untaken) == 9
    assert "lora_unet" in plan.findings.complaint


@pytest.mark.parametrize("names", ["lora.{}", "lora_linear_layer.{}"])
def test_older_names_of_diffusers_are_read(names: str) -> None:
    given = pairs(LAYERS)
    older = {
        key.replace("lora_A", names.format("down")).replace("lora_B", names.format("up")): leaf
        for key, leaf in given.items()
    }
    check_detected(older, "diffusers-lora")
    assert same(to_layout(to_layout(older, KOHYA), DIFFUSERS, against=MODEL_KEYS), given)
    processors = to_layout(older, PROCESSORS, strict=True)
    check_detected(processors, "diffusers-lora-processors")
    assert f"unet.{UNET}.processor.to_q_lora.down.weight" in processors
    assert same(to_layout(processors, DIFFUSERS, strict=True), given)


def test_an_alpha_that_is_not_the_rank_is_not_lost_for_diffusers() -> None:
    file = dict(to_layout(pairs(LAYERS), KOHYA, strict=True))
    alpha = next(key for key in file if key.endswith("alpha"))
    with pytest.raises(LayoutError, match=f"{alpha}: it is not 4 throughout.* takes the rank"):
        to_layout({**file, alpha: np.array(1.0)}, DIFFUSERS, against=MODEL_KEYS)


def peft_file(config: dict[str, Any] | None) -> StateDict:
    given = {f"base_model.model.{key}": leaf for key, leaf in pairs(LAYERS).items()}
    return StateDict(given, config=config and {"peft_type": "LORA", **config})


def test_alpha_comes_from_the_configuration_of_peft_and_is_held_against_it() -> None:
    file = to_layout(peft_file({"lora_alpha": 16}), KOHYA, strict=True)
    alphas = [float(np.asarray(leaf)) for key, leaf in file.items() if key.endswith("alpha")]
    assert alphas == [16.0] * 4
    options = {"against": MODEL_KEYS, "strict": True}
    assert same(to_layout(file, PEFT, lora_alpha=16, **options), peft_file(None))
    with pytest.raises(LayoutError, match="not 8 throughout"):
        to_layout(file, PEFT, lora_alpha=8, **options)
    with pytest.raises(LayoutError, match="lora_alpha is needed"):
        to_layout(StateDict(dict(file)), PEFT, **options)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "lora_alpha is needed"),
        ({"lora_alpha": 4, "use_rslora": True}, "use_rslora"),
        ({"lora_alpha": 4, "alpha_pattern": {"to_q": 8}}, "alpha_pattern"),
    ],
)
def test_a_scale_that_is_not_known_is_not_guessed(config: Any, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        to_layout(peft_file(config), KOHYA)


def test_what_a_file_of_diffusers_says_of_alpha_is_not_overlooked() -> None:
    metadata = {"lora_adapter_metadata": '{"unet.lora_alpha": 16}'}
    with pytest.raises(LayoutError, match=r"lora_adapter_metadata is .*unet\.lora_alpha"):
        to_layout(StateDict(pairs(LAYERS), metadata=metadata), KOHYA)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_peft_saves_and_has_these_names(tmp_path: Any) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, num_hidden_layers=1, **sizes))
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], use_dora=True)
    adapted = peft.get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data.normal_()
    adapted.save_pretrained(tmp_path)
    file = load_file(tmp_path / "adapter_model.safetensors")
    live = {key: leaf for key, leaf in adapted.state_dict().items() if "lora_" in key}
    check_detected(file, "peft-lora")
    found = tensors(to_layout(file, PEFT_LIVE, strict=True))
    assert found.keys() == live.keys()
    assert all(torch.equal(found[key], live[key]) for key in live)
    assert same(to_layout(live, PEFT, strict=True), file)


@pytest.mark.slow
def test_diffusers_converts_to_the_same_names_and_values() -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
    from diffusers.utils.state_dict_utils import (
        convert_state_dict_to_kohya,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    layers = [*LAYERS, f"text_encoder.{TEXT}", f"text_encoder_2.{TEXT}"]
    given = {key: torch.from_numpy(leaf) for key, leaf in pairs(layers).items()}
    kohya = convert_state_dict_to_kohya(dict(given))
    assert same(to_layout(given, KOHYA, strict=True), kohya)
    assert same(to_layout(kohya, DIFFUSERS, against=MODEL_KEYS, strict=True), given)
    older, alphas = _convert_non_diffusers_lora_to_diffusers(dict(kohya))
    assert set(alphas.values()) == {RANK}
    unet = {key: leaf for key, leaf in given.items() if key.startswith("unet.")}
    older = {key: leaf for key, leaf in older.items() if key.startswith("unet.")}
    check_detected(older, "diffusers-lora-processors")
    assert same(to_layout(older, DIFFUSERS, strict=True), unet)
    processors = tensors(to_layout(unet, PROCESSORS, strict=True))
    assert same(convert_unet_state_dict_to_peft(processors), unet)
    text = {key.replace("lora_A", "lora_linear_layer.down"): leaf for key, leaf in given.items()}
    text = {key.replace("lora_B", "lora_linear_layer.up"): leaf for key, leaf in text.items()}
    assert same(convert_state_dict_to_peft(text), given)
    assert same(to_layout(to_layout(text, KOHYA), DIFFUSERS, against=MODEL_KEYS), given)

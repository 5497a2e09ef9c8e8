"""CLIP: transformers, and OpenAI's own code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)

from caten_sd.layouts.clip import HF, HF_TEXT, HF_VISION, OPENAI, OPENAI_TEXT, OPENAI_VISION
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from tests.layouts.key_lists import check_detected, listed, shapes, tensors

TEXT = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 7,
    "projection_dim": 6,
    **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 49),
}
VISION = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
    "projection_dim": 6,
}
OPENAI_SIZES = (6, 8, 3, 128, 4, 7, 50, 64, 2, 2)  # in the order of OpenAI's class


def random(model: Any) -> Any:
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Any:
    return random(CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=6)))


def check_both_ways(given: Any, source: Any, target: Any, prefix: str | None = None) -> None:
    check_detected(given, source.name)
    there = tensors(to_layout(given, target, strict=True))
    check_detected(there, target.name)
    back = tensors(to_layout(there, source, prefix=prefix, strict=True))
    assert back.keys() == given.keys()
    assert all(torch.equal(back[key], given[key]) for key in given)


def test_the_whole_model_becomes_openai_s_and_comes_back(model: Any) -> None:
    check_both_ways(model.state_dict(), HF, OPENAI)


@pytest.mark.parametrize(
    ("kind", "prefix"), [(CLIPTextModel, ""), (CLIPTextModelWithProjection, "text_model.")]
)
def test_a_text_model_becomes_openai_s_and_comes_back(kind: Any, prefix: str) -> None:
    state = random(kind(CLIPTextConfig(**TEXT))).state_dict()
    check_both_ways(state, HF_TEXT, OPENAI_TEXT, prefix)


@pytest.mark.parametrize(
    ("kind", "prefix"), [(CLIPVisionModel, ""), (CLIPVisionModelWithProjection, "vision_model.")]
)
def test_a_vision_model_becomes_openai_s_and_comes_back(kind: Any, prefix: str) -> None:
    state = random(kind(CLIPVisionConfig(**VISION))).state_dict()
    check_both_ways(state, HF_VISION, OPENAI_VISION, prefix)


def test_older_files_have_positions_that_are_dropped(model: Any) -> None:
    given = dict(model.state_dict())
    given["text_model.embeddings.position_ids"] = torch.arange(7)[None]
    given["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    plan = plan_layout(given, OPENAI)
    assert set(plan.findings.dropped) == set(given) - set(model.state_dict())
    assert not plan.findings.complaint


def test_the_sizes_in_a_compiled_file_of_openai_are_dropped(model: Any) -> None:
    given = dict(to_layout(model.state_dict(), OPENAI, strict=True))
    sizes = {"input_resolution": 8, "context_length": 7, "vocab_size": 50}
    plan = plan_layout({**given, **{key: torch.tensor(n) for key, n in sizes.items()}}, HF)
    assert set(plan.findings.dropped) == set(sizes)
    assert plan.state_dict.keys() == model.state_dict().keys()


def test_vit_b_32_of_openai_is_that_of_transformers() -> None:
    file = listed("openai-clip.txt")
    check_detected(file, "openai-clip")
    with torch.device("meta"):
        base = CLIPModel(CLIPConfig()).state_dict()
    assert shapes(to_layout(file, HF, strict=True)) == shapes(base)
    assert shapes(to_layout(base, OPENAI, strict=True)) == shapes(file)


@pytest.mark.slow
def test_openai_s_clip_gives_the_same_similarities(model: Any) -> None:
    found = importlib.util.find_spec("clip")
    if found is None or found.origin is None:
        pytest.skip("openai-clip is not installed")
    # The package imports torchvision for images; the file of its model does not.
    path = Path(found.origin).with_name("model.py")
    spec = importlib.util.spec_from_file_location("openai_clip_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = module.CLIP(*OPENAI_SIZES).eval()
    theirs.load_state_dict(tensors(to_layout(model.state_dict(), OPENAI, strict=True)))
    tokens = torch.randint(0, 49, (3, 7))
    tokens[:, -1] = 49  # the end, whose features both take
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        ours = model(input_ids=tokens, pixel_values=images).logits_per_image
        given, _ = theirs(images, tokens)
    assert given.std() > 0.01
    torch.testing.assert_close(given, ours, rtol=1e-4, atol=1e-5)
    back = tensors(to_layout(theirs.state_dict(), HF, strict=True))
    assert all(torch.equal(back[key], leaf) for key, leaf in model.state_dict().items())

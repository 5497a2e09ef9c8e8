"""ViT: files and live models of transformers, and timm."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import ViTConfig, ViTForImageClassification, ViTModel

from caten_sd.layouts.vit import HF, HF_LIVE, TIMM
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from tests.layouts.key_lists import check_detected, listed, shapes, tensors


def config(**changes: Any) -> ViTConfig:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    images = {"image_size": 8, "patch_size": 4, "num_labels": 3}
    return ViTConfig(**{**sizes, **images, "intermediate_size": 16, **changes})


def saved(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return ViTForImageClassification(config()).eval()


@pytest.mark.parametrize("bias", [True, False])
def test_a_file_of_transformers_has_the_names_of_its_live_model(tmp_path: Path, bias: bool) -> None:
    model = ViTForImageClassification(config(qkv_bias=bias))
    file, live = saved(model, tmp_path), model.state_dict()
    check_detected(file, "hf-vit")
    check_detected(live, "hf-vit-live")
    found = tensors(to_layout(file, HF_LIVE, strict=True))
    assert found.keys() == live.keys()
    assert all(torch.equal(found[key], live[key]) for key in live)
    back = tensors(to_layout(live, HF, strict=True))
    assert back.keys() == file.keys()
    assert all(torch.equal(back[key], file[key]) for key in file)


@pytest.mark.parametrize(("source", "target"), list(permutations([HF, HF_LIVE, TIMM], 2)))
def test_any_to_any_and_back(model: Any, source: Any, target: Any) -> None:
    given = tensors(to_layout(model.state_dict(), source, strict=True))
    there = tensors(to_layout(given, target, strict=True))
    check_detected(there, target.name)
    back = tensors(to_layout(there, source, strict=True))
    assert back.keys() == given.keys()
    assert all(torch.equal(back[key], given[key]) for key in given)


def test_what_timm_does_not_have_is_left_out_with_a_reason(tmp_path: Path) -> None:
    model = ViTModel(config(), use_mask_token=True)
    plan = plan_layout(saved(model, tmp_path), TIMM)
    assert set(plan.findings.dropped) == {
        "embeddings.mask_token",
        "pooler.dense.weight",
        "pooler.dense.bias",
    }
    assert not plan.findings.complaint


def test_the_base_model_of_timm_is_that_of_transformers() -> None:
    file = listed("timm-vit.txt")
    check_detected(file, "timm-vit")
    with torch.device("meta"):
        base = ViTForImageClassification(ViTConfig(num_labels=1000))
    found = to_layout(file, HF_LIVE, strict=True)
    assert shapes(found) == shapes(base.state_dict())
    assert shapes(to_layout(base.state_dict(), TIMM, strict=True)) == shapes(file)


# timm imports torchvision, of which its vision transformer uses nothing. The stand-in for it would
# mislead transformers, so timm has a process of its own.
IN_TIMM = """
import importlib.abc, importlib.machinery, importlib.util, sys, types

class Anything(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {"__init__": lambda self, *_, **__: None})

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: Anything.__getattr__(Anything, name)
        return module
    def exec_module(self, module):
        pass

if importlib.util.find_spec("torchvision") is None:
    sys.meta_path.insert(0, Finder())
import safetensors.torch, torch
from timm.models.vision_transformer import VisionTransformer
torch.manual_seed(0)
model = VisionTransformer(
    img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, num_classes=3
).eval()
for parameter in model.parameters():
    parameter.data.normal_()
image = torch.randn(2, 3, 8, 8)
given = {"image": image, "logits": model(image).detach()}
safetensors.torch.save_file(model.state_dict(), sys.argv[1])
safetensors.torch.save_file(given, sys.argv[2])
"""


@pytest.mark.slow
def test_a_model_of_timm_gives_the_same_logits_in_transformers(tmp_path: Path) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    file, outputs = tmp_path / "timm.safetensors", tmp_path / "outputs.safetensors"
    subprocess.run([sys.executable, "-c", IN_TIMM, file, outputs], check=True)
    state, given = load_file(file), load_file(outputs)
    model = ViTForImageClassification(config(layer_norm_eps=1e-6)).eval()
    model.load_state_dict(tensors(to_layout(state, HF_LIVE, strict=True)))
    logits = model(given["image"]).logits
    assert given["logits"].std() > 0.1
    torch.testing.assert_close(logits, given["logits"], rtol=0, atol=1e-5)
    back = tensors(to_layout(model.state_dict(), TIMM, strict=True))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)

"""Real architectures: transformers' models, with few layers and without data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM, logging
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from caten_sd import get_state_dict

from .agreement import assert_agrees

DEPTHS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "num_encoder_layers",
    "num_decoder_layers",
    "encoder_num_layers",
    "depth",
)
USUAL = (Path(__file__).parents[2] / "data" / "architectures.txt").read_text().split()
CAUSAL = ["gpt2", "llama", "mistral", "opt", "bloom", "gpt_neox", "mamba", "qwen2", "gemma2"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def build(name: str, head: type = AutoModel) -> nn.Module:
    config = CONFIG_MAPPING[name]()
    for depth in DEPTHS:
        if isinstance(getattr(config, depth, None), int) and getattr(config, depth) > 2:
            setattr(config, depth, 2)
    with torch.device("meta"):
        model = head.from_config(config)
    assert isinstance(model, nn.Module)
    return model


@pytest.mark.parametrize("name", USUAL)
def test_an_architecture_agrees_with_torch(name: str) -> None:
    assert_agrees(build(name))


@pytest.mark.parametrize("name", CAUSAL)
def test_a_language_model_and_its_ties_agree_with_torch(name: str) -> None:
    model = build(name, AutoModelForCausalLM)
    assert_agrees(model)
    head = model.get_output_embeddings().weight
    if head is model.get_input_embeddings().weight:
        state = get_state_dict(model)
        assert state[state.ties["lm_head.weight"]] is head


@pytest.mark.slow
def test_every_other_architecture_that_can_be_built_agrees_with_torch() -> None:
    names = sorted(set(MODEL_MAPPING_NAMES) - set(USUAL))
    unbuilt = []
    for name in names:
        try:
            model = build(name)
        except Exception:  # it needs a package that is not installed, or more layers
            unbuilt.append(name)
            continue
        assert_agrees(model)
    assert len(unbuilt) < len(names) / 4, unbuilt

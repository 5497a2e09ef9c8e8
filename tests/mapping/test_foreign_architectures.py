"""Files of every other architecture that gguf-py and transformers know: none is taken for GPT-2."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.numpy
import torch
from gguf.constants import MODEL_ARCH_NAMES, MODEL_TENSORS, TENSOR_NAMES
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForCausalLM

from caten_sd import detect_layout, read_state_dict
from caten_sd.cli import main
from caten_sd.layouts.gpt2 import GGUF, HF
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.state.state_dict import StateDict
from tests.mapping.test_detection import caten
from tests.properties import sampled

WIDTH, LAYERS = 8, 2
ARCHITECTURES = [name for name in MODEL_ARCH_NAMES.values() if name != "gpt2"]
OF_NAME = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}

# Shapes that GPT-2 has too wherever a name is one of its own, so that names and not shapes differ.
SHAPES = {
    "token_embd": (11, WIDTH),
    "position_embd": (7, WIDTH),
    "output": (11, WIDTH),
    "attn_qkv": (3 * WIDTH, WIDTH),
    "ffn_up": (4 * WIDTH, WIDTH),
    "ffn_down": (WIDTH, 4 * WIDTH),
}


def tensors_of(architecture: str, *, biases: bool) -> dict[str, tuple[int, ...]]:
    """Return the names of an architecture's tensors, as gguf-py lists them, with small shapes."""
    shapes = dict(SHAPES)
    if architecture == "starcoder":  # GPT-2's names, but queries share one head of keys and values
        shapes["attn_qkv"] = (WIDTH + 2 * (WIDTH // 4), WIDTH)
    found = {}
    for template, layer in itertools.product(
        (TENSOR_NAMES[kind] for kind in MODEL_TENSORS[OF_NAME[architecture]]), range(LAYERS)
    ):
        name = template.format(bid=layer, xid=0)
        last = name.rpartition(".")[2]
        shape = (WIDTH,) if "norm" in last else shapes.get(last, (WIDTH, WIDTH))
        found[f"{name}.weight"] = shape
        if biases and last not in ("token_embd", "position_embd", "output"):
            found[f"{name}.bias"] = shape[:1]
    return found


def write_gguf(path: Path, architecture: str, *, biases: bool, said: bool) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    if not said:
        del writer.kv_data[0]["general.architecture"]
    for name, shape in tensors_of(architecture, biases=biases).items():
        writer.add_tensor(name, np.zeros(shape, "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def is_gpt2(layout: Layout | None) -> bool:
    return layout is not None and layout.architecture == "gpt2"


def refusal(path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence that refuses a conversion; nothing of GPT-2 is detected or written."""
    found = detect_layout(read_state_dict(path))
    assert not any(is_gpt2(each) for each in (found.layout, found.unprefixed))
    assert main(["convert", str(path), str(target), "--to", "hf-gpt2"]) == 2
    assert not target.exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_gguf_py_knows_many_architectures() -> None:
    assert len(ARCHITECTURES) > 100
    assert {"llama", "qwen3", "gemma2", "gptneox", "starcoder", "falcon"} <= set(ARCHITECTURES)


@pytest.mark.parametrize("architecture", sampled(ARCHITECTURES, 48))
def test_a_gguf_of_another_architecture_is_not_gpt2(
    tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = tmp_path / "m.gguf", tmp_path / "out.safetensors"
    for biases, said in itertools.product((True, False), repeat=2):
        write_gguf(path, architecture, biases=biases, said=said)
        line = refusal(path, target, capsys)
        assert "--from" in line or "only layouts of one architecture" in line
        if said and " takes " in line and f"gguf-{architecture} takes " not in line:
            assert f"its general.architecture is {architecture!r}" in line


def gpt2_itself(config: dict[str, Any] | None, name: str) -> StateDict:
    given = to_layout(caten(), name, from_layout="caten-gpt2").entry
    return StateDict(given, config=config)


@pytest.mark.parametrize("step", [100, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("layout", ["hf-gpt2", "gguf-gpt2", "caten-gpt2"])
def test_the_very_keys_of_gpt2_are_not_gpt2_if_the_config_says_another_type(
    layout: str, step: int
) -> None:
    model_types = list(CONFIG_MAPPING.keys())
    assert len(model_types) > 200
    for model_type in ("gpt2", *model_types[::step]):
        found = detect_layout(gpt2_itself({"model_type": model_type}, layout))
        expected = {layout} if model_type in HF.model_types else set()
        assert {
            each.name for each in (found.layout, found.similar) if each and is_gpt2(each)
        } == expected, model_type


@pytest.mark.parametrize("architecture", sampled(ARCHITECTURES, 8))
def test_the_very_keys_of_gpt2_are_not_gpt2_if_the_gguf_says_another_architecture(
    architecture: str,
) -> None:
    given = to_layout(caten(), GGUF, from_layout="caten-gpt2").entry
    found = detect_layout(StateDict(given, metadata={"general.architecture": architecture}))
    assert not any(is_gpt2(each) for each in (found.layout, found.similar))
    assert repr(architecture) in str(found)


# Types whose smallest models are built below; the first six have the names of GPT-2 in part.
# fmt: off
TYPES = [
    "gpt_bigcode", "imagegpt", "gpt_neo", "gptj", "codegen", "openai-gpt", "bloom", "falcon",
    "mpt", "opt", "gpt_neox", "llama", "qwen2", "qwen3", "gemma", "gemma2",
    "phi", "phi3", "mistral", "mixtral", "olmo", "olmo2", "stablelm", "starcoder2",
    "cohere", "mamba", "bert", "roberta", "electra", "xglm", "biogpt", "granite",
    "persimmon",
]
# fmt: on
SMALL = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim"), WIDTH),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 2),
    **dict.fromkeys(("num_key_value_heads", "attention_heads"), 2),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim"), 4 * WIDTH),
    **dict.fromkeys(("vocab_size",), 11),
    **dict.fromkeys(("n_positions", "n_ctx", "max_position_embeddings"), 7),
    **dict.fromkeys(("rotary_dim", "head_dim"), 4),
    "pad_token_id": 0,
    "attention_types": [[["global"], LAYERS]],
}


def small_model(model_type: str) -> Any:
    known = AutoConfig.for_model(model_type)
    fixed = {name for name, value in vars(type(known)).items() if isinstance(value, property)}
    sizes = {name: SMALL[name] for name in SMALL.keys() - fixed if hasattr(known, name)}
    if model_type == "bert":
        sizes["is_decoder"] = True
    config = AutoConfig.for_model(model_type, **sizes)
    with torch.device("meta"):
        made = AutoModel if model_type == "imagegpt" else AutoModelForCausalLM
        return made.from_config(config)


@pytest.mark.parametrize("model_type", sampled(TYPES, 24))
def test_a_folder_of_another_model_type_is_not_gpt2(
    tmp_path: Path, model_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_model(model_type)
    folder, target = tmp_path / "model", tmp_path / "out.safetensors"
    folder.mkdir()
    arrays = {key: np.zeros(leaf.shape, "f4") for key, leaf in model.state_dict().items()}
    safetensors.numpy.save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": model.config.model_type}))
    refusal(folder, target, capsys)
    (folder / "config.json").unlink()
    refusal(folder, target, capsys)

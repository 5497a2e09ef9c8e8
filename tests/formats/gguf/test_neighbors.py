"""A model of Hugging Face becomes a GGUF that others take whole: tokenizer and scaled positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import caten_sd as sd
from caten_sd.formats.gguf.neighbors import described
from caten_sd.formats.gguf.rotary_factors import rotary_factors
from tests.formats.gguf.tokenizers_made import TEXTS, byte_level

SIZES = {
    "vocab_size": 400,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def saved(folder: Path, **more: Any) -> LlamaForCausalLM:
    """Save a tiny Llama with a tokenizer as transformers does, and return it."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, **more))
    model.save_pretrained(folder)
    byte_level().save(str(folder / "tokenizer.json"))
    told = {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return model


def test_transformers_takes_model_and_tokenizer_from_the_file_alone(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    meant = saved(tmp_path / "hf")
    done = sd.convert(tmp_path / "hf", tmp_path / "m.gguf", layout="gguf-llama")
    assert done.notes == ()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    own = byte_level()
    for text in TEXTS:
        ids = own.encode(text, add_special_tokens=False).ids
        assert tokenizer(text, add_special_tokens=False).input_ids == ids
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    tokens = torch.arange(40)[None]
    torch.testing.assert_close(model(tokens).logits, meant(tokens).logits, rtol=1e-5, atol=1e-5)


def test_types_are_those_that_llama_cpp_asks_for(tmp_path: Path) -> None:
    saved(tmp_path / "hf")
    sd.convert(tmp_path / "hf", tmp_path / "m.gguf", layout="gguf-llama")
    fields = GGUFReader(tmp_path / "m.gguf").fields
    types = {key.rpartition(".")[2]: [each.name for each in field.types]
             for key, field in fields.items() if key.startswith("tokenizer.ggml.")}  # fmt: skip
    assert types["tokens"] == types["merges"] == ["ARRAY", "STRING"]
    assert types["token_type"] == ["ARRAY", "INT32"]
    assert types["bos_token_id"] == ["UINT32"]
    assert types["add_bos_token"] == ["BOOL"]


def test_a_scaled_llama_has_its_factors(tmp_path: Path) -> None:
    saved(tmp_path / "hf", rope_parameters=LLAMA3)
    sd.convert(tmp_path / "hf", tmp_path / "m.gguf", layout="gguf-llama", dtype="f16")
    state = sd.read_state_dict(tmp_path / "m.gguf")
    assert (str(state["rope_freqs.weight"].dtype), state["rope_freqs.weight"].shape) == (
        "float32", (8,)
    )  # fmt: skip
    back = sd.to_layout(state, "hf-llama", strict=True)
    assert "rope_freqs.weight" not in back


def test_a_gguf_that_has_a_tokenizer_keeps_it(tmp_path: Path) -> None:
    saved(tmp_path / "hf")
    sd.convert(tmp_path / "hf", tmp_path / "m.gguf", layout="gguf-llama")
    sd.convert(tmp_path / "m.gguf", tmp_path / "b.safetensors", layout="hf-llama")
    done = sd.convert(tmp_path / "b.safetensors", tmp_path / "n.gguf", layout="gguf-llama")
    first, second = (sd.read_state_dict(tmp_path / name).metadata for name in ("m.gguf", "n.gguf"))
    key = "tokenizer.ggml.tokens"
    assert (list(first[key]), done.notes) == (list(second[key]), ())


@pytest.mark.parametrize("options", [{}, {"layout": "gguf-llama"}])
def test_only_a_layout_of_gguf_in_a_gguf_has_more(tmp_path: Path, options: Any) -> None:
    saved(tmp_path / "hf")
    target = "m.safetensors" if options.get("layout") else "m.gguf"
    done = sd.convert(tmp_path / "hf", tmp_path / target, **options)
    assert done.notes == ()
    keys = sd.read_state_dict(tmp_path / target).metadata
    assert not any(key.startswith("tokenizer.") for key in keys)


def test_a_missing_tokenizer_is_a_note_on_the_screen(tmp_path: Path) -> None:
    saved(tmp_path / "hf")
    (tmp_path / "hf" / "tokenizer.json").unlink()
    done = sd.convert(tmp_path / "hf", tmp_path / "m.gguf", layout="gguf-llama")
    assert "no tokenizer.json" in done.notes[0]
    assert done.notes[0] in str(done)


def bert(folder: Path, kind: str, **more: Any) -> Any:
    """Save a tiny BERT of a class of transformers, and return what its GGUF says."""
    import transformers

    options = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
    made = getattr(transformers, kind)
    made(made.config_class(**options, **more)).save_pretrained(folder)
    path = folder / "m.gguf"
    sd.convert(folder, path, layout="gguf-bert")
    return sd.read_state_dict(path)


def test_a_bert_says_how_many_kinds_of_segments_it_has(tmp_path: Path) -> None:
    found = bert(tmp_path, "BertModel", type_vocab_size=5)
    assert found.metadata["tokenizer.ggml.token_type_count"] == 5


@pytest.mark.parametrize("said", [True, -5, 1 << 40, "2"])
def test_a_number_of_segments_that_cannot_be_is_left_out(said: Any, tmp_path: Path) -> None:
    leaves = {"token_embd.weight": np.zeros((4, 8), "f4")}
    metadata, config = {"general.architecture": "bert"}, {"type_vocab_size": said}
    found = described(sd.StateDict(leaves, metadata=metadata, config=config), tmp_path)
    assert "tokenizer.ggml.token_type_count" not in found.metadata


@pytest.mark.parametrize("names", [{}, {"id2label": {0: "no", 1: "yes", 2: "\u00fc"}}])
def test_the_names_of_its_classes_are_counted_by_llama_cpp(tmp_path: Path, names: Any) -> None:
    found = bert(tmp_path, "BertForSequenceClassification", num_labels=3, **names)
    meant = list(names["id2label"].values()) if names else ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert list(found.metadata["bert.classifier.output_labels"]) == meant
    assert found["cls.output.weight"].shape == (3, 64)


PROPORTIONAL = {"rope_type": "proportional", "partial_rotary_factor": 0.25}
FREQUENCIES = [
    ({"full_attention": PROPORTIONAL}, 32, [1.0] * 4 + [1e30] * 12),
    ({"full_attention": {**PROPORTIONAL, "partial_rotary_factor": 1.0}}, 4, [1.0, 1.0]),
    ({"full_attention": {**PROPORTIONAL, "partial_rotary_factor": 2.0}}, 4, None),
    ({"full_attention": {"rope_type": "default"}}, 4, None),
    ({"full_attention": PROPORTIONAL}, 1 << 40, None),
    ({"full_attention": {**PROPORTIONAL, "partial_rotary_factor": "x"}}, 4, None),
]


@pytest.mark.parametrize(("table", "size", "meant"), FREQUENCIES)
def test_frequencies_that_do_not_turn_are_infinite(table: Any, size: int, meant: Any) -> None:
    found = rotary_factors("g", {"rope_parameters": table}, {"g.rope.dimension_count": size})
    values = [each.tolist() for each in found.values()]
    assert values == ([] if meant is None else [np.float32(meant).tolist()])

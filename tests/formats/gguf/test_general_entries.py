"""What a GGUF says of its model is what gguf-py's Metadata, which the converter uses, says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from gguf.metadata import Metadata

import caten_sd as sd
from caten_sd.formats.gguf.general_entries import general_entries
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import Spec

CARD = """---
license: [mit, other]
license_name: own
language:
- en
tags:
- x
pipeline_tag: text-generation
base_model:
- meta-llama/Llama-3-8B
- https://huggingface.co/org/Base-v2
- ssh://else.where/x
datasets: org/data-v1
model_creator: "Some One"
---
"""
TENSORS = {"a.weight": (64, 96), "blk.0.ffn_up_exps.weight": (4, 32, 64), "blk.0.x_exps.b": (4, 9)}
CASES: list[tuple[str, dict[str, str], dict[str, Any]]] = [
    ("Tiny-Thing-7b-chat", {}, {}),
    ("plain", {}, {"_name_or_path": "org/Other-v2-13K"}),
    ("plain", {}, {"_name_or_path": "/a/path/of/a/computer"}),
    ("with-card-v1.5", {"README.md": CARD}, {"_name_or_path": "o/p"}),
    ("generates", {"generation_config.json": '{"top_k": 20, "temperature": 0.7, "top_p": 1}'}, {}),
]


def theirs(folder: Path, parameters: int) -> dict[str, Any]:
    known = Metadata.load(None, folder, None, parameters)
    writer = GGUFWriter(None, "x")
    if known.size_label is None:
        known.size_label = "4x8.2K"
    known.set_gguf_meta_model(writer)
    return {key: value.value for key, value in writer.kv_data[0].items()}


@pytest.mark.parametrize(("name", "files", "config"), CASES)
def test_it_is_what_gguf_py_says(
    tmp_path: Path, name: str, files: dict[str, str], config: dict[str, Any]
) -> None:
    if "README.md" in files:
        pytest.importorskip("yaml", reason="gguf-py reads the model card with it")
    folder = tmp_path / name
    folder.mkdir()
    for file, text in {**files, "config.json": json.dumps(config)}.items():
        (folder / file).write_text(text)
    specs = {key: Spec(shape, DTYPES["float32"], 0) for key, shape in TENSORS.items()}
    ours = general_entries(folder, config, specs)
    added = {"general.type", "general.quantization_version"}
    meant = theirs(folder, 64 * 96 + 4 * 32 * 64 + 36)
    assert {key: value for key, value in ours.items() if key not in added} == {
        key: value for key, value in meant.items() if key != "general.architecture"
    }


def test_a_snapshot_of_the_hub_has_the_name_of_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "models--org--Some-Model-7B" / "snapshots" / ("0f" * 20)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    found = general_entries(folder, {}, {})
    assert found["general.name"] == "Some Model 7B"
    assert found["general.organization"] == "Org"


HOSTILE = [
    "[1",
    '{"top_k": 1.5, "mirostat": true}',
    '{"top_k": 1e400}',
    '{"top_k": "x", "temperature": true}',
    "null",
    '"\\ud800"',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_sampling_that_is_not_a_number_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "generation_config.json").write_text(text)
    assert not any("sampling" in key for key in general_entries(tmp_path, {}, {}))


TINY = Path(__file__).parents[3] / "examples" / "tiny_gpt2"


def test_what_a_gguf_says_of_its_model_goes_through(tmp_path: Path) -> None:
    first = tmp_path / "m.gguf"
    sd.convert(TINY, first, layout="gguf-gpt2", metadata={"general.name": "My Own"})
    sd.convert(first, tmp_path / "b.safetensors", layout="hf-gpt2")
    sd.convert(tmp_path / "b.safetensors", tmp_path / "n.gguf", layout="gguf-gpt2")
    found = sd.read_state_dict(tmp_path / "n.gguf").metadata
    assert (found["general.name"], found["general.file_type"]) == ("My Own", 0)


def test_a_folder_that_is_not_a_model_s_gives_no_name(tmp_path: Path) -> None:
    assert "general.name" not in general_entries(tmp_path, {}, {})
    named = general_entries(tmp_path, {"_name_or_path": "org/a\ud800-7b"}, {})
    assert named["general.name"] == "A? 7b"


def test_a_long_card_is_read_in_a_moment(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\n" + "a:\n" * 50_000 + "- b\n---\n")
    start = time.process_time()
    assert general_entries(tmp_path, {}, {})["general.type"] == "model"
    assert time.process_time() - start < 3


def test_options_of_sampling_have_the_types_of_the_converter(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"top_k": 20, "temperature": 1}')
    said = general_entries(tmp_path, {}, {})
    sd.write_state_dict({"a": np.ones(2, "f4")}, tmp_path / "a.gguf", metadata=said)
    fields = GGUFReader(tmp_path / "a.gguf").fields
    kinds = {key: field.types[0].name for key, field in fields.items() if "sampling" in key}
    assert kinds == {"general.sampling.top_k": "INT32", "general.sampling.temp": "FLOAT32"}

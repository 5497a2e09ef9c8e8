"""The shipped GPT-2 computes what Hugging Face computes, and its script trains it."""

from __future__ import annotations

import importlib.util
import json
import lzma
import math
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from caten_sd import load_state_dict, read_state_dict, to_layout
from caten_sd.nn import Transformer, generate, gpt2_from_config

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "tiny_gpt2"


def load_script():
    spec = importlib.util.spec_from_file_location(
        "train_tiny_gpt2", EXAMPLES / "train_tiny_gpt2.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script():
    return load_script()


@pytest.fixture(scope="module")
def ours() -> Transformer:
    model = gpt2_from_config(json.loads((FOLDER / "config.json").read_text()))
    with read_state_dict(FOLDER) as checkpoint:
        return load_state_dict(model, to_layout(checkpoint, "caten-gpt2"), strict=True)


def from_pretrained(folder: Path) -> GPT2LMHeadModel:
    model, info = GPT2LMHeadModel.from_pretrained(
        folder, output_loading_info=True, local_files_only=True
    )
    assert not any(info.values()), info
    return model.eval()


@pytest.fixture(scope="module")
def theirs() -> GPT2LMHeadModel:
    return from_pretrained(FOLDER)


def test_it_is_under_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000


def test_its_logits_and_text_are_hugging_faces(ours, theirs) -> None:
    tokens = torch.tensor([list(b"In the beginning God created")])
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)
    expected = theirs.generate(tokens, max_new_tokens=64, do_sample=False, pad_token_id=0)
    assert torch.equal(generate(ours, tokens, 64), expected)


def test_it_was_trained(script, ours) -> None:
    _, held_out = script.read_corpus(FOLDER / "corpus.txt.xz")
    uniform, trained = math.log(256), script.held_out_loss(ours, held_out[: 16 * 257])
    assert trained < uniform / 4


def test_the_corpus_is_plain_text_and_the_split_covers_it(script) -> None:
    raw = lzma.decompress((FOLDER / "corpus.txt.xz").read_bytes())
    data, held_out = script.read_corpus(FOLDER / "corpus.txt.xz")
    assert raw.isascii()
    assert len(data) + len(held_out) == len(raw)
    assert len(held_out) / len(raw) == pytest.approx(1 / 40, rel=0.05)


@pytest.mark.slow
def test_the_script_trains_and_writes_a_folder_that_loads(script, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data, held_out = (each[:3000] for each in script.read_corpus(FOLDER / "corpus.txt.xz"))
    model = script.build()
    before = script.held_out_loss(model, held_out)
    script.train(model, data, held_out, 3)
    script.save(model, tmp_path)
    assert script.held_out_loss(model, held_out) < before
    assert (tmp_path / "config.json").read_text() == (FOLDER / "config.json").read_text()
    tokens = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(from_pretrained(tmp_path)(tokens).logits, model(tokens))

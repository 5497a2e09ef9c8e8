"""The tokenizer next to a model is in its GGUF where it can be told, and else the reason is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from caten_sd.formats.gguf.tokenizer import tokenizer_entries
from tests.formats.gguf.tokenizers_made import as_json, byte_level, changed, sentencepiece, unigram

GPT2 = as_json(byte_level())


def entries_of(folder: Path, told: Any, count: int = 500, **options: Any) -> Any:
    (folder / "tokenizer.json").write_text(json.dumps(told))
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options))
    found = tokenizer_entries(folder, {}, count)
    return {key.removeprefix("tokenizer.ggml."): value for key, value in found.entries.items()}, (
        found.notes
    )


@pytest.mark.parametrize(
    ("made", "model", "has"),
    [
        (byte_level(), "gpt2", {"merges"}),
        (sentencepiece(), "llama", {"scores", "add_space_prefix", "unknown_token_id"}),
        (unigram(), "t5", {"scores", "remove_extra_whitespaces", "unknown_token_id"}),
    ],
)
def test_each_kind_is_one_of_llama_cpp(
    tmp_path: Path, made: Tokenizer, model: str, has: set[str]
) -> None:
    found, notes = entries_of(tmp_path, as_json(made))
    assert (found["model"], len(notes)) == (model, int(model == "t5"))  # it strips line ends
    assert has < found.keys()
    assert len(found["tokens"]) == len(found["token_type"]) == 500


def test_the_template_of_a_conversation_is_in_the_options_or_a_file(tmp_path: Path) -> None:
    found, _ = entries_of(tmp_path, GPT2, chat_template="one", eos_token="<|eos|>")
    assert (found["tokenizer.chat_template"], found["eos_token_id"]) == ("one", 1)
    (tmp_path / "chat_template.jinja").write_text("two")
    found, _ = entries_of(tmp_path, GPT2)
    assert found["tokenizer.chat_template"] == "two"


def test_what_llama_cpp_does_not_do_is_said(tmp_path: Path) -> None:
    found, notes = entries_of(tmp_path, changed(GPT2, "normalizer", value={"type": "NFC"}))
    assert found["pre"] == "gpt-2"
    assert "NFC" in notes[0]


PUNCTUATION = {"type": "Punctuation", "behavior": "Isolated"}


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        (changed(GPT2, "pre_tokenizer", value=PUNCTUATION), "splits text by rules"),
        (changed(GPT2, "normalizer", value={"type": "Lowercase"}), "changes text"),
        (changed(GPT2, "model", "type", value="WordLevel"), "WordLevel"),
        (changed(GPT2, "model", "merges", value=7), "not as its library"),
        (changed(GPT2, "model", value=None), "not as its library"),
        (changed(GPT2, "added_tokens", value=[{"id": -1, "content": "x"}]), "beyond"),
        (changed(GPT2, "added_tokens", value=[{"id": 9, "content": "\ud800"}]), "not as its"),
        (changed(as_json(unigram()), "model", "vocab", value=[["a", 10**400]]), "not as its"),
        ([1, 2], "not a JSON object"),
        (changed(as_json(unigram()), "normalizer", value={"type": "Strip"}), "'Strip' alone"),
        (changed(as_json(sentencepiece()), "normalizer", value={"type": "NFKC"}), "'NFKC'"),
    ],
)
def test_another_tokenizer_is_left_out_with_the_reason(
    tmp_path: Path, told: Any, fact: str
) -> None:
    found, (note,) = entries_of(tmp_path, told)
    assert found == {}
    assert fact in note
    assert "another GGUF" in note


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_damaged_file_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    found = tokenizer_entries(tmp_path, {}, 9)
    assert (found.entries, len(found.notes)) == ({}, 1)


def test_without_a_file_it_is_said(tmp_path: Path) -> None:
    found = tokenizer_entries(tmp_path, {}, 9)
    assert found.entries == {}
    assert "no tokenizer.json" in found.notes[0]

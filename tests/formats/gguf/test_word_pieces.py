"""WordPiece of BERT in a GGUF: pieces, normalizer, special tokens, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caten_sd.errors import StateDictError
from caten_sd.formats.gguf.tokenizer import tokenizer_entries
from caten_sd.formats.gguf.word_pieces import word_pieces
from tests.formats.gguf.tokenizers_made import as_json, changed
from tests.formats.gguf.tokenizers_made import word_pieces as made

TOKENIZER = as_json(made())
TOLD = {f"{word}_token": f"[{word.upper()}]" for word in ("cls", "sep", "pad", "unk", "mask")}


def entries(folder: Path, tokenizer: Any, count: int = 400) -> tuple[dict[str, Any], list[str]]:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(TOLD))
    found, notes = tokenizer_entries(folder, {}, count)
    return {key.removeprefix("tokenizer.ggml."): value for key, value in found.items()}, list(notes)


def test_a_piece_begins_a_word_or_is_within_it(tmp_path: Path) -> None:
    found, notes = entries(tmp_path, TOKENIZER, 410)
    by_number = {number: text for text, number in TOKENIZER["model"]["vocab"].items()}
    for number in by_number:
        old, text = by_number[number], found["tokens"][number]
        kind = found["token_type"][number]
        within = old.removeprefix("##") if old.startswith("##") else f"\u2581{old}"
        assert (text, kind) == ((old, 3) if number < 5 else (within, 1))
    assert (found["tokens"][409], found["token_type"][409]) == ("\u2581[PAD409]", 5)
    assert (found["model"], len(notes)) == ("bert", 2)


def test_texts_begin_and_end_as_bert_has_it(tmp_path: Path) -> None:
    old = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    for tokenizer in (TOKENIZER, {**TOKENIZER, "post_processor": old}):
        found, _ = entries(tmp_path, tokenizer)
        ids = {key: value for key, value in found.items() if key.endswith("token_id")}
        assert ids == {
            "unknown_token_id": 1, "seperator_token_id": 3, "padding_token_id": 0,
            "cls_token_id": 2, "mask_token_id": 4, "bos_token_id": 2, "eos_token_id": 3,
        }  # fmt: skip
        assert found["add_bos_token"] is found["add_eos_token"] is True


@pytest.mark.parametrize(
    ("lowercase", "strips", "meant"),
    [(True, None, (True, True)), (False, None, (False, False)), (True, False, (True, False)),
     (False, True, (False, True))],
)  # fmt: skip
def test_letters_are_changed_as_the_normalizer_says(
    tmp_path: Path, lowercase: bool, strips: bool | None, meant: tuple[bool, bool]
) -> None:
    found, notes = entries(tmp_path, as_json(made(lowercase=lowercase, strip_accents=strips)))
    assert (found["normalizer.lowercase"], found["normalizer.strip_accents"]) == meant
    assert len(notes) == 1 + any(meant)


REFUSED = [
    (changed(TOKENIZER, "normalizer", "clean_text", value=False), "clean_text"),
    (changed(TOKENIZER, "normalizer", "handle_chinese_chars", value=False), "handle_chinese_chars"),
    (changed(TOKENIZER, "normalizer", value={"type": "Lowercase"}), "Lowercase"),
    (changed(TOKENIZER, "normalizer", value=None), "BertNormalizer"),
    (changed(TOKENIZER, "pre_tokenizer", value={"type": "Whitespace"}), "Whitespace"),
    (changed(TOKENIZER, "model", "continuing_subword_prefix", value="@@"), "@@"),
    (changed(TOKENIZER, "model", "vocab", value={"##\u2581b": 8, "b": 9}),
     "one text"),
]  # fmt: skip


@pytest.mark.parametrize(("tokenizer", "meant"), REFUSED)
def test_other_rules_are_refused(tokenizer: Any, meant: str) -> None:
    with pytest.raises(StateDictError, match=meant):
        word_pieces(tokenizer, 400)

"""Special tokens come from the words of the options, and from the numbers of a config.json."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.formats.gguf.special_tokens import special_tokens

TOLD: dict[str, Any] = {
    "model": {"vocab": {"a": 0}},
    "added_tokens": [{"id": 7, "content": "<s>"}, {"id": 8, "content": "</s>"}],
}
FIRST, LAST = {"SpecialToken": {"id": "<s>"}}, {"SpecialToken": {"id": "</s>"}}
TEXT = {"Sequence": {"id": "A"}}
WORDS = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}
NUMBERS = {"bos_token_id": 7, "eos_token_id": 8}


def around(*parts: Any) -> dict[str, Any]:
    return {"type": "TemplateProcessing", "single": list(parts)}


@pytest.mark.parametrize(
    ("processor", "options", "config", "found"),
    [
        (None, WORDS, {}, NUMBERS),
        (None, {}, {"bos_token_id": 3, "eos_token_id": [1, 2]}, {"bos_token_id": 3}),
        (None, {"bos_token": "<s>"}, {"bos_token_id": 3}, {"bos_token_id": 7}),
        (None, {"pad_token": "none"}, {"pad_token_id": True}, {}),
        (None, {"mask_token": "<s>", "sep_token": "</s>"}, {},
         {"mask_token_id": 7, "seperator_token_id": 8, "eos_token_id": 8}),
        (None, {"add_bos_token": True, "add_eos_token": None}, {}, {"add_bos_token": True}),
        ({"type": "ByteLevel"}, WORDS, {},
         {**NUMBERS, "add_bos_token": False, "add_eos_token": False}),
        (around(FIRST, TEXT), WORDS, {},
         {**NUMBERS, "add_bos_token": True, "add_eos_token": False}),
        ({"type": "Sequence", "processors": [around(FIRST, TEXT, LAST)]}, WORDS, {},
         {**NUMBERS, "add_bos_token": True, "add_eos_token": True}),
    ],
)  # fmt: skip
def test_special_tokens(processor: Any, options: Any, config: Any, found: Any) -> None:
    none = {"add_bos_token": False, "add_eos_token": False}
    told = {**TOLD, "post_processor": processor}
    assert special_tokens(told, options, config) == {**none, **found}


def test_the_token_for_what_no_token_has_is_that_of_the_model() -> None:
    pieces = {"model": {"vocab": [["a", 0.0], ["?", -1.0]], "unk_id": 1}}
    assert special_tokens(pieces, {}, {})["unknown_token_id"] == 1
    words = {"model": {"vocab": {"?": 4}, "unk_token": "?"}}
    assert special_tokens(words, {}, {})["unknown_token_id"] == 4

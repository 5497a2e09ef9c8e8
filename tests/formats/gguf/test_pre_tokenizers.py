"""A byte-level tokenizer has llama.cpp's name for its rules, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caten_sd.formats.gguf.pre_tokenizers import _NAMES, pre_tokenizer_name
from tests.formats.gguf.tokenizers_made import as_json, byte_level, changed

QWEN2 = next(patterns for (patterns, _), name in _NAMES.items() if name == "qwen2")


@pytest.mark.parametrize(("rules", "name"), _NAMES.items(), ids=_NAMES.values())
def test_rules_have_a_name(rules: tuple[tuple[str, ...], bool], name: str) -> None:
    patterns, skips = rules
    told = as_json(byte_level(*patterns, skips=skips))
    assert pre_tokenizer_name(told, cleans=False) == name
    ended = json.loads(json.dumps(told).replace(r"\\r\\n", r"\r\n"))  # as some files have them
    assert pre_tokenizer_name(ended, cleans=False) == name


@pytest.mark.parametrize(
    ("digits", "cleans", "name"),
    [(False, False, "gpt-2"), (True, False, "smollm"), (True, True, "starcoder")],
)
def test_gpt2s_expression_alone_or_with_digits_apart(digits: bool, cleans: bool, name: str) -> None:
    assert pre_tokenizer_name(as_json(byte_level(digits=digits)), cleans=cleans) == name


SPLIT, LEVEL = ({"type": "Split", "pattern": {"Regex": QWEN2[0]}, "behavior": "Isolated"},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False})  # fmt: skip


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [SPLIT],
        [{**SPLIT, "invert": True}, LEVEL],
        [{**SPLIT, "behavior": "Removed"}, LEVEL],
        [{**SPLIT, "pattern": {"String": " "}}, LEVEL],
        [SPLIT, SPLIT, LEVEL],
        [{"type": "Digits", "individual_digits": True}, LEVEL],
        [{"type": "Punctuation"}, {**LEVEL, "use_regex": True}],
        [{"type": "Digits", "individual_digits": False}, {**LEVEL, "use_regex": True}],
        [SPLIT, {**LEVEL, "add_prefix_space": True}],
    ],
)
def test_other_rules_have_none(steps: list[dict[str, Any]]) -> None:
    told = as_json(byte_level(*QWEN2))
    other = changed(told, "pre_tokenizer", value={"type": "Sequence", "pretokenizers": steps})
    assert pre_tokenizer_name(told, cleans=False) == "qwen2"
    assert pre_tokenizer_name(other, cleans=False) is None


def test_whether_merges_are_skipped_for_whole_words_belongs_to_the_rules() -> None:
    skipping = changed(as_json(byte_level(*QWEN2)), "model", "ignore_merges", value=True)
    assert pre_tokenizer_name(skipping, cleans=False) is None

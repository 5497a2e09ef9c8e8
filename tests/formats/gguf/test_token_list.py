"""Tokens of a tokenizer.json get the kinds, scores and merges that a GGUF has."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.errors import StateDictError
from caten_sd.formats.gguf.token_list import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    merges,
    scores_of_merges,
    scores_of_pieces,
    token_list,
    with_bytes,
)

ADDED = [
    {"id": 0, "content": "<unk>", "special": True},
    {"id": 4, "content": "<s>", "special": True},
    {"id": 5, "content": "▁▁", "special": False},
]
BPE: dict[str, Any] = {
    "added_tokens": ADDED,
    "model": {
        "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "a": 1, "aa": 2, "<0x0A>": 3},
        "merges": [["a", "a"]],
    },
}
UNIGRAM = {"model": {"vocab": [["<unk>", 0.0], ["a", -1.5]], "unk_id": 0}, "added_tokens": []}


def test_each_token_has_its_kind() -> None:
    tokens = with_bytes(token_list(BPE, 7))
    assert tokens.texts == ["<unk>", "a", "aa", "<0x0A>", "<s>", "  ", "[PAD6]"]
    assert tokens.kinds == [UNKNOWN, NORMAL, NORMAL, BYTE, CONTROL, USER_DEFINED, UNUSED]


def test_pieces_have_scores() -> None:
    tokens = token_list(UNIGRAM, 3)
    assert tokens.kinds == [UNKNOWN, NORMAL, UNUSED]
    assert scores_of_pieces(UNIGRAM, tokens) == [0.0, -1.5, 0.0]


@pytest.mark.parametrize(
    ("count", "fact"), [(5, "beyond the 5"), (1, "beyond the 1"), (1 << 40, "at most 16,777,216")]
)
def test_numbers_of_tokens_that_cannot_be_are_refused(count: int, fact: str) -> None:
    with pytest.raises(StateDictError, match=fact):
        token_list(BPE, count)


def test_scores_have_the_order_of_the_merges() -> None:
    model = {"vocab": {"a": 0, "b": 1, "ab": 2, "aab": 3}, "merges": ["a b", "a ab"]}
    tokens = token_list({"model": model}, 4)
    scores = scores_of_merges({"model": model}, tokens)
    assert scores[2] > scores[3] > scores[0] == scores[1]


def test_merges_that_no_score_can_order_are_refused() -> None:
    model = {"vocab": {"a": 0}, "merges": [["a", "aa"], ["b", "b"], ["aa", "a"]]}
    with pytest.raises(StateDictError, match=r"aaa.*two ranks"):
        scores_of_merges({"model": model}, token_list({"model": model}, 1))


def test_a_space_within_a_merge_is_a_sign() -> None:
    assert merges({"model": {"merges": ["a b", ["c d", "e"]]}}) == ["a b", "cĠd e"]

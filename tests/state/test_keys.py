"""Keys and paths: how a path becomes a key, and what its index segments are."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.state.keys import (
    INDEX_SEGMENT,
    Name,
    joined_key,
    lisp_style_dict_key,
    path_text,
    pytorch_style_dict_key,
)


@pytest.mark.parametrize(
    ("path", "torchs", "lisps"),
    [
        ([], "", ""),
        (["wte", "weight"], "wte.weight", "wte.weight"),
        (["h", 0, "ln-1", "AFFINE"], "h.0.ln_1.AFFINE", "h.0.ln_1.affine"),
        (("W_query",), "W_query", "w_query"),
        ([Name("in-proj"), "ln-1", -1], "in-proj.ln_1.-1", "in_proj.ln_1._1"),
    ],
)
def test_the_mappers_spell_a_path(path: Any, torchs: str, lisps: str) -> None:
    assert pytorch_style_dict_key(path) == torchs
    assert lisp_style_dict_key(path) == lisps


@pytest.mark.parametrize(
    ("key", "indices"),
    [("h.0.mlp.11", ["0", "11"]), ("7", ["7"]), ("conv2d.w1", []), ("", []), ("h.-1.w", [])],
)
def test_an_index_is_a_segment_of_digits_only(key: str, indices: list[str]) -> None:
    assert INDEX_SEGMENT.findall(key) == indices


@pytest.mark.parametrize("root", ["", None])
def test_a_key_below_the_root_is_the_name(root: str | None) -> None:
    assert joined_key(root, 3) == "3"
    assert joined_key("h", 3) == "h.3"


def test_a_message_names_a_path_or_the_root() -> None:
    assert path_text(["h", 0, "ln-1"]) == "'h.0.ln_1'"
    assert path_text([]) == "the root"

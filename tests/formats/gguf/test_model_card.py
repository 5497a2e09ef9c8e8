"""What is read of a model card is what a reader of YAML finds, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caten_sd.formats.gguf.model_card import model_card

HEAD = """\
license: apache-2.0
license_link: https://x.org/LICENSE  # a comment
description: a text that

  goes on
language:
- en
- "no"
# another comment

  - 'de'
tags: [a, "b c",d]
empty:
base_model: "org/It's-7B"
pipeline_tag: text-generation
prompt: >-
  long text
  license: mit
widget:
- text: hello
  more: 1
nested:
  license: other
quoted: "a \\" b"
anchor: *x
name: "cut
list: [a, [b]]
colon: a: b
null_value: ~
last:
"""
SAID = {
    "license": "apache-2.0",
    "license_link": "https://x.org/LICENSE",
    "language": ["en", "no", "de"],
    "tags": ["a", "b c", "d"],
    "base_model": "org/It's-7B",
    "pipeline_tag": "text-generation",
}


def card(folder: Path, text: str | bytes) -> Any:
    (folder / "README.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return model_card(folder)


def test_texts_and_lists_are_read_and_nothing_else(tmp_path: Path) -> None:
    assert card(tmp_path, f"---\n{HEAD}---\nlicense: mit\n") == SAID


@pytest.mark.parametrize(
    "text", ["", "x", "---\nlicense: mit\n", "# T\n---\nlicense: mit\n---\n", b"---\n\xff\n---"]
)
def test_without_a_head_nothing_is_read(tmp_path: Path, text: str | bytes) -> None:
    assert card(tmp_path, text) == {}


def test_a_folder_without_a_card_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").mkdir()
    assert model_card(tmp_path) == model_card(tmp_path / "none") == {}

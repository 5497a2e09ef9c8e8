from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import caten_sd as sd
from tests.formats.orbax.ocdbt_made import metadata

PATH = [{"key": "w", "key_type": 2}]
ABOUT = {"value_type": "None", "skip_deserialize": True}


def written(folder: Path, entry: Any) -> Path:
    (folder / "_METADATA").write_text(json.dumps({"tree_metadata": {"('w',)": entry}}))
    return folder


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "x",
        {},
        {"key_metadata": PATH},
        {"key_metadata": PATH, "value_metadata": None},
        {"key_metadata": PATH, "value_metadata": {}},
        {"key_metadata": PATH, "value_metadata": {"value_type": 3}},
        {"key_metadata": PATH, "value_metadata": {"value_type": None}},
        {"key_metadata": None, "value_metadata": ABOUT},
        {"key_metadata": "w", "value_metadata": ABOUT},
        {"key_metadata": ["w"], "value_metadata": ABOUT},
        {"key_metadata": [{"key": 3, "key_type": 2}], "value_metadata": ABOUT},
        {"key_metadata": [{"key": "w", "key_type": "2"}], "value_metadata": ABOUT},
        {"key_metadata": [{"key": "w", "key_type": [2]}], "value_metadata": ABOUT},
        {"key_metadata": [{"key": "w", "key_type": 3}], "value_metadata": ABOUT},
        {"key_metadata": [ABOUT], "value_metadata": ABOUT},
        {"key_metadata": PATH * 101, "value_metadata": ABOUT},
        {"key": "w", "key_type": 2},
        ABOUT,
    ],
)
def test_an_entry_that_orbax_does_not_write_is_refused(entry: Any, tmp_path: Path) -> None:
    with pytest.raises(sd.FormatError, match=r"_METADATA.*\('w',\)"):
        sd.read_state_dict(written(tmp_path, entry))


@pytest.mark.parametrize(
    "text",
    ["", "3", "null", "[]", "{}", '{"tree_metadata": []}', "\ufeff{}", '{"a": 1, "a": 2}', "{" * 9],
)
def test_a_text_that_is_not_a_tree_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "_METADATA").write_text(text, encoding="utf-8")
    with pytest.raises(sd.FormatError, match="_METADATA"):
        sd.read_state_dict(tmp_path)


def test_two_values_under_one_path_are_refused(tmp_path: Path) -> None:
    entry = {"key_metadata": PATH, "value_metadata": ABOUT}
    tree = {"tree_metadata": {"a": entry, "b": entry}}
    (tmp_path / "_METADATA").write_text(json.dumps(tree))
    with pytest.raises(sd.FormatError, match="collides"):
        sd.read_state_dict(tmp_path)


def test_empty_containers_have_no_array(tmp_path: Path) -> None:
    entry = {"value_type": "Dict", "skip_deserialize": True}
    (tmp_path / "_METADATA").write_bytes(metadata([]))
    written(tmp_path, {"key_metadata": PATH, "value_metadata": entry})
    with sd.read_state_dict(tmp_path) as state:
        assert not state
        assert not state.others

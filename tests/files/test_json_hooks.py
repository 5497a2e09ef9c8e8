from __future__ import annotations

import json

import pytest

from caten_sd.files.json_hooks import plain, unique


def test_what_json_lacks_becomes_a_list_or_text() -> None:
    text = json.dumps({"range": range(2), "bytes": b"a", "number": 1j}, default=plain)
    assert json.loads(text) == {"range": [0, 1], "bytes": [97], "number": "1j"}


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "b": 2}', '[{"c": {"b": 1, "b": 2}}]'])
def test_a_name_that_is_given_twice_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="'b'"):
        json.loads(text, object_pairs_hook=unique)


def test_members_keep_their_order() -> None:
    assert list(json.loads('{"b": 1, "a": 2}', object_pairs_hook=unique)) == ["b", "a"]

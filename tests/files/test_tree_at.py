"""A node of a nested checkpoint is found by its dotted root."""

from __future__ import annotations

from typing import Any

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.tree_at import tree_at

CONTENTS = {
    "model": {"fc.w": 1, "fc.b": 2},
    "ema": {"shadow": {"w": 3}, "dotted.name": {"w": 4}, "dotted": {"w": 5}},
    "lists": [[6], [7]],
    "train.net.fc.w": 8,
}


@pytest.mark.parametrize(
    ("root", "node"),
    [
        ("", CONTENTS),
        ("ema.shadow", {"w": 3}),
        ("ema.dotted.name", {"w": 4}),
        ("ema.dotted", {"w": 5}),
        ("lists.1", [7]),
        ("model.fc", {"w": 1, "b": 2}),
        ("train.net", {"fc.w": 8}),
    ],
)
def test_a_root_is_followed_by_names_indices_and_dotted_keys(root: str, node: Any) -> None:
    assert tree_at(CONTENTS, root, "w.pt") == node


@pytest.mark.parametrize(
    ("root", "known"),
    [
        ("net", "model, ema, lists, train"),
        ("mod", "model, ema, lists, train"),
        ("model.fc.x", r"model\.fc"),
        ("lists.2", r"lists\.0, lists\.1"),
    ],
)
def test_a_root_that_is_not_there_is_named_with_those_that_are(root: str, known: str) -> None:
    with pytest.raises(FormatError, match=rf"w\.pt: .*'{root}'.* are {known}$"):
        tree_at(CONTENTS, root, "w.pt")

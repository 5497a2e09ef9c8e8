from __future__ import annotations

from typing import Any

import pytest

from caten_sd.files.rest import outside_root

TREE = {"net": {"w": 1}, "step": 5}


@pytest.mark.parametrize(
    ("contents", "root", "rest"),
    [
        ({"model": TREE, "epoch": 3}, "", {}),
        ({"model": TREE, "epoch": 3}, "model", {"epoch": 3}),
        ({"model": TREE, "epoch": 3}, "model.net", {"epoch": 3, "model.step": 5}),
        ({"a.b": TREE, "a": {"c": 2}}, "a.b.net", {"a": {"c": 2}, "a.b.step": 5}),
        ([{"w": 1}, {"v": 2}], "1", {"0": {"w": 1}}),
        ({"net.w": 1, "net.b": 2, "epoch": 3}, "net", {"epoch": 3}),
        ({"t": {"net.w": 1, "lr": 2}, "epoch": 3}, "t.net", {"epoch": 3, "t.lr": 2}),
    ],
)
def test_everything_outside_the_root_keeps_its_path(
    contents: Any, root: str, rest: dict[str, Any]
) -> None:
    assert outside_root(contents, root) == rest

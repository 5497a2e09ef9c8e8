"""An entry of a layout's sizes is a constant, a name, or an expression of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caten_sd.errors import LayoutError
from caten_sd.layout import Layout, Row
from caten_sd.mapping.extension import extend
from caten_sd.mapping.size_expressions import parsed, value_of

KNOWN = {"n": 3, "m": 2, "text": "a", "kinds": ["a", "b", "a"], "rate": 0.5}


@pytest.mark.parametrize(
    ("size", "value"),
    [
        (7, 7),
        (True, True),
        ("n", 3),
        ("rate", 0.5),
        ("2*n*m + n", 15),
        ("2*rate", None),
        ("n + other", None),
        ("other", None),
        ("other or 4", 4),
        ("n or 4", 3),
        ("other or [1, 2]", [1, 2]),
        ("kinds == a", [True, False, True]),
        ("text == a", True),
        ("other == a", None),
        ("n if kinds == b", [0, 3, 0]),
        ("other if kinds == b or 5", 5),
    ],
)
def test_a_size_is_worth(size: Any, value: Any) -> None:
    assert value_of(size, KNOWN.get) == value


@pytest.mark.parametrize("text", ["n if kinds", "a-b", "n or", "n or x", "a b if kinds == c"])
def test_another_text_is_refused_when_the_layout_is_made(text: str) -> None:
    with pytest.raises(LayoutError):
        Layout("mine", [Row("w")], sizes={"a.b": text})


def test_what_is_parsed_is_kept() -> None:
    assert parsed("n if kinds == full or 2") == ("n", "kinds", "full", 2)


def test_sizes_of_any_kind_go_through_toml(tmp_path: Path) -> None:
    sizes = {"a.n": "n or 2", "a.flag": False, "a.eps": 1e-5, "a.none": 0}
    path = tmp_path / "mine.toml"
    path.write_text(Layout("mine", [Row("w")], sizes=sizes).to_toml())
    assert dict(Layout.from_toml(path).sizes) == sizes


def test_an_extension_adds_to_the_sizes_under_its_own_architecture() -> None:
    old = Layout(
        "gguf-a", [Row("w")], metadata={"general.architecture": "a"}, sizes={"a.n": "n", "a.m": "m"}
    )
    new = extend(
        old, "gguf-b", metadata={"general.architecture": "b"}, sizes={"b.m": 0, "b.rate": "rate"}
    )
    assert new.sizes == {"b.n": "n", "b.m": 0, "b.rate": "rate"}

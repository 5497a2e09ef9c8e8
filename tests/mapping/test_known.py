import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.mapping import known as known_layouts
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.rows import Row


def test_layouts_are_the_files_of_the_folder() -> None:
    assert {"caten-gpt2", "hf-gpt2", "gguf-gpt2"} <= known_layouts.built_in_layouts().keys()
    assert find_layout("hf-gpt2").name == "hf-gpt2"


def test_a_layout_object_is_itself() -> None:
    layout = Layout("mine", [Row("a")])
    assert find_layout(layout) is layout


def test_an_unknown_layout_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LayoutError, match=r"'hf_gpt2'; did you mean 'hf-gpt2'\? known are caten-"):
        find_layout("hf_gpt2")
    with pytest.raises(LayoutError, match="no layout is called 'zzz'; known are"):
        find_layout("zzz")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A module of layouts that another distribution announces; what was asked is recorded."""
    module = ModuleType("their_layouts")
    module.THEIRS = Layout("theirs", [Row("a")])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    asked: list[str] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint("theirs", module.__name__, group)]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    known_layouts.announced_layouts.cache_clear()
    yield asked
    known_layouts.announced_layouts.cache_clear()


def test_plug_ins_are_asked_only_on_a_miss(plug_in: list[str]) -> None:
    find_layout("hf-gpt2")
    assert plug_in == []
    assert find_layout("theirs").name == "theirs"
    assert plug_in == ["caten_sd.layouts"]


def test_a_broken_plug_in_leaves_the_rest_alone(
    plug_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [EntryPoint("bad", "no_such_module", "g"), EntryPoint("theirs", "their_layouts", "g")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    with pytest.warns(LayoutWarning, match=r"no_such_module.* 'bad'"):
        assert list(known_layouts.announced_layouts()) == ["theirs"]


def test_two_layouts_of_one_name_are_refused() -> None:
    twins = [Layout("twin", [Row("a")]), Layout("twin", [Row("b")])]
    with pytest.raises(LayoutError, match="two layouts are called 'twin'"):
        known_layouts._by_name(twins)

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from caten_sd.errors import LayoutError
from caten_sd.mapping import known as known_layouts
from caten_sd.mapping import layout_modules
from caten_sd.mapping.known import find_layout
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.rows import Row
from caten_sd.state.state_dict import STAMP, StateDict


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
    layout_modules._announced.cache_clear()
    yield asked
    layout_modules._announced.cache_clear()


def test_plug_ins_are_asked_only_on_a_miss(plug_in: list[str]) -> None:
    find_layout("hf-gpt2")
    assert plug_in == []
    assert find_layout("theirs").name == "theirs"
    assert plug_in == ["caten_sd.layouts"]


MINE = """
from caten_sd.layout import Layout, Row
MINE = Layout("mine", [Row("a.w", "x.w")])
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    (tmp_path / "own_layout.py").write_text(MINE)
    (tmp_path / "two.py").write_text(f"{MINE}MORE = Layout('more', [Row('a')])\nNONE = 3\n")
    (tmp_path / "none.py").write_text("")
    (tmp_path / "fails.py").write_text("raise ValueError('no')\n")
    (tmp_path / "ends.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "wrong.py").write_text("from caten_sd.layout import Layout\nLayout('', [])\n")
    return tmp_path


@pytest.mark.parametrize(
    "text", ["own_layout:MINE", "own_layout.py", "own_layout.py:MINE", "./two.py:MINE"]
)
def test_a_layout_by_its_code(text: str, here: Path) -> None:
    assert find_layout(text).name == "mine"
    assert find_layout(text) is find_layout(text)
    assert find_layout(f"{here}/two.py:MORE").name == "more"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("own_layout:NO", "own_layout has no Layout 'NO'; name one of own_layout:MINE"),
        ("two.py", "two.py has 2 layouts; name one of two.py:MINE, two.py:MORE"),
        ("two.py:NONE", "two.py has no Layout 'NONE'; name one of two.py:MINE, two.py:MORE"),
        ("none.py", "none.py has 0 layouts; make one in it"),
        ("fails.py", "the layout 'fails.py' cannot be had, since fails.py fails (ValueError: no)"),
        ("ends:X", "the layout 'ends:X' cannot be had, since ends fails (SystemExit: 0)"),
        ("wrong.py", "the layout 'wrong.py' cannot be had: a layout needs a name"),
        ("absent.py:X", "the layout 'absent.py:X' cannot be had: there is no file 'absent.py' in"),
        ("absent:X", "the layout 'absent:X' cannot be had: no module is called 'absent', neither"),
    ],
)
def test_code_without_the_layout_is_named(text: str, said: str, here: Path) -> None:
    with pytest.raises(LayoutError) as caught:
        find_layout(text)
    assert str(caught.value).startswith(said)


def test_a_layout_of_ones_own_is_applied_and_undone(here: Path) -> None:
    state = StateDict({"x.w": np.zeros(1)})
    made = to_layout(state, "own_layout:MINE", from_layout="own_layout.py:MINE")
    assert made.metadata == {STAMP: "mine"}
    mine = find_layout("own_layout.py")
    assert list(to_layout(made, mine.canonical, from_layout="own_layout.py")) == ["a.w"]


@pytest.mark.parametrize("stamp", ["own_layout.py", "own_layout:MINE", "fails.py"])
def test_a_stamp_in_a_file_never_runs_code(stamp: str, here: Path) -> None:
    state = StateDict({"x.w": np.zeros(1)}, metadata={STAMP: stamp})
    before = set(sys.modules)
    with pytest.raises(LayoutError, match="no layout is called"):
        to_layout(state, "hf-gpt2")
    assert not {name for name in set(sys.modules) - before if "own_layout" in name}


def test_a_file_in_a_layout_that_is_not_known_here_is_answered_with_how_to_pass_it() -> None:
    state = StateDict({"x.w": np.zeros(1)}, metadata={STAMP: "theirs"})
    facts = r"file says .* 'theirs', .* mine\.py:LAYOUT, in from_layout= or --from"
    with pytest.raises(LayoutError, match=facts):
        to_layout(state, Layout("mine", [Row("x.w")]))


@pytest.mark.parametrize("change", ["rows", "prefixes", "nothing"])
def test_a_layout_with_the_name_of_a_known_one_is_that_one_or_refused(
    change: str, tmp_path: Path
) -> None:
    text = find_layout("hf-gpt2").to_toml()
    changed = {"rows": ('"ln_f.weight"', '"ln_g.weight"'), "prefixes": ('"transformer."', '"net."')}
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(*changed.get(change, ("", ""))))
    if change == "nothing":
        assert find_layout(str(path)).name == "hf-gpt2"
        return
    with pytest.raises(LayoutError, match=r"'hf-gpt2'.*known here.*a name of its own"):
        find_layout(str(path))
    with pytest.raises(LayoutError, match="a name of its own"):
        to_layout({"ln_f.weight": np.zeros(1)}, Layout.from_toml(path))

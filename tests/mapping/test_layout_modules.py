"""Layouts are imported when one is asked for, and a plug-in harms nothing but itself."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import caten_sd.layouts
from caten_sd.errors import LayoutError, LayoutWarning
from caten_sd.mapping import layout_modules
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_modules import (
    announced,
    built_in,
    built_in_called,
    built_in_of,
    plain_name,
)
from caten_sd.mapping.rows import Row
from tests.properties import sampled

MODULE = """
from caten_sd.layout import Layout, Row
LAYOUT = Layout("{name}", [Row("a")])
"""
ASKING = """
import sys
import caten_sd.layouts
caten_sd.layouts.__path__.append(sys.argv[1])
{work}
print(*(name for name in sys.modules if name.startswith("caten_sd.layouts.")))
"""
EXTENDING = """
from caten_sd.layout import Layout, Row, find_layout
LAYOUT = Layout("hf-whole", [Row("a", "b")], base=find_layout("hf-other"))
"""
DETECTING = """
from caten_sd import StateDict, detect_layout
import numpy
assert detect_layout(StateDict({{'a': numpy.zeros(1)}}, {says})).layout is not None
"""


@pytest.fixture(autouse=True)
def forget_what_is_announced() -> Iterator[None]:
    yield
    layout_modules._announced.cache_clear()


@pytest.fixture
def more_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two modules of layouts beside those of the package; one of them fails when imported."""
    monkeypatch.setattr(caten_sd.layouts, "__path__", [*caten_sd.layouts.__path__, str(tmp_path)])
    (tmp_path / "other.py").write_text(MODULE.format(name="hf-other"))
    (tmp_path / "failing.py").write_text("raise RuntimeError('imported')")
    yield tmp_path
    sys.modules.pop("caten_sd.layouts.other", None)


def test_only_the_module_of_a_layout_is_imported(more_layouts: Path) -> None:
    found = built_in_called(Layout, "hf-other")
    assert found is not None
    assert found.name == "hf-other"
    assert "caten_sd.layouts.failing" not in sys.modules
    assert built_in_called(Layout, "hf-nothing") is None


@pytest.mark.parametrize(
    ("work", "imported"),
    [
        ("import caten_sd, caten_sd.layout; caten_sd.detect_layout, caten_sd.convert", ""),
        ("from caten_sd.mapping.layout_plan import to_layout", ""),
        (
            "from caten_sd.layout import find_layout; find_layout('hf-gpt2')",
            "caten_sd.layouts.gpt2",
        ),
        ("from caten_sd.layout import find_layout; find_layout('hf-zzb')", "caten_sd.layouts.zzb"),
        (DETECTING.format(says="config={'model_type': 'Zz-D'}"), "caten_sd.layouts.zzd"),
        (
            DETECTING.format(says="config={'architectures': ['ZzCForCausalLM']}"),
            "caten_sd.layouts.zzc",
        ),
        (
            DETECTING.format(
                says="config={'model_type': 'of-several', 'text_config': {'model_type': 'zzz'}}"
            ),
            "caten_sd.layouts.zzz",
        ),
        (DETECTING.format(says="metadata={'caten_sd.layout': 'hf-zza'}"), "caten_sd.layouts.zza"),
    ],
)
def test_importing_layouts_costs_nothing_until_one_is_asked_for(
    work: str, imported: str, tmp_path: Path
) -> None:
    for name in ("zza", "zzb", "zzc", "zzd", "zzz"):
        (tmp_path / f"{name}.py").write_text(MODULE.format(name=f"hf-{name}"))
    program = ASKING.format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == imported


@pytest.mark.parametrize("name", sampled(sorted(built_in(Layout)), 8))
def test_each_layout_is_found_by_what_a_file_says(name: str) -> None:
    """The text of its module has its name and its model types between quotes, or has its base."""
    layout = built_in_called(Layout, name)
    assert layout is not None
    for model_type in layout.model_types:
        assert built_in_of(Layout, [plain_name(model_type)])[name] is layout


def test_a_layout_has_the_names_of_its_base(more_layouts: Path) -> None:
    (more_layouts / "whole.py").write_text(EXTENDING)
    assert built_in_of(Layout, ["other"]).keys() == {"hf-other", "hf-whole"}
    assert built_in_of(Layout, ["whole"]).keys() == {"hf-whole"}
    assert built_in_of(Layout, ["oth", "optional"]) == {}
    sys.modules.pop("caten_sd.layouts.whole", None)


def test_a_module_without_a_text_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_modules, "_text", lambda module: None)
    assert built_in_called(Layout, "hf-gpt2") is not None


def test_all_are_the_files_of_the_folder(more_layouts: Path) -> None:
    (more_layouts / "failing.py").unlink()
    assert {"caten-gpt2", "hf-gpt2", "gguf-gpt2", "hf-other"} <= built_in(Layout).keys()


def test_two_built_in_layouts_of_one_name_are_refused() -> None:
    twins = [Layout("twin", [Row("a")]), Layout("twin", [Row("b")])]
    with pytest.raises(LayoutError, match="two layouts are called 'twin'"):
        layout_modules.by_name([twins])


def _announce(monkeypatch: pytest.MonkeyPatch, **holders: Layout | str) -> None:
    """Announce layouts, each in a module of its name; a text is one that is not there."""
    for name, layout in holders.items():
        if isinstance(layout, Layout):
            module = ModuleType(name)
            module.LAYOUT = layout  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, name, module)
    points = [EntryPoint(name, name, layout_modules.GROUP) for name in holders]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    layout_modules._announced.cache_clear()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("", r"no_module.* 'no_module'.*ModuleNotFoundError"),
        (Layout("theirs", [Row("b")]), r"'theirs' of no_module.*announced by another.*rename"),
        (Layout("hf-gpt2", [Row("b")]), r"'hf-gpt2' of no_module.*built in.*rename"),
    ],
)
def test_a_broken_plug_in_leaves_the_rest_alone(
    broken: Layout | str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Layout("theirs", [Row("a")])
    _announce(monkeypatch, good=theirs, no_module=broken)
    with pytest.warns(LayoutWarning, match=said):
        assert announced(Layout) == {"theirs": theirs}


def test_a_plug_in_that_ends_the_program_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ending_layouts.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    _announce(monkeypatch, ending_layouts="")
    with pytest.warns(LayoutWarning, match="ending_layouts.*SystemExit"):
        assert announced(Layout) == {}

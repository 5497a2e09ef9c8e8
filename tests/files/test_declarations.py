"""What the classes of formats say of themselves, read off their text."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import caten_sd.formats
from caten_sd import read_state_dict, write_state_dict
from caten_sd.extend import Format
from caten_sd.files import declarations
from caten_sd.files.catalog import formats
from caten_sd.files.declarations import built_in_formats

DECLARED = list(built_in_formats())
ATTRIBUTES = [
    name for name, value in vars(Format).items() if name[0] != "_" and not callable(value)
]

ONE_FILE = '''
import numpy as np

from caten_sd.files.format import Contents, Format, read, recognize, write

HEAD = "#lines"


class {kind}(Format):
    """A line a leaf."""

    name = {name}
    suffixes = (".{kind}",)

    def show(self):
        name = object()


@recognize.register({kind})
def _recognize(format, source, /):
    return HEAD if source.head(6) == HEAD.encode() else None


@read.register({kind})
def _read(format, source, /):
    rows = source.read(0, source.size).decode().splitlines()[1:]
    return Contents({{key: np.array(text, "f4") for key, text in map(str.split, rows)}}, {{}})


@write.register({kind})
def _write(format, target, state_dict, /):
    target.write(b"#lines\\n")
    for key, leaf in state_dict.items():
        target.write(f"{{key}} {{leaf}}\\n".encode())
'''


def test_every_format_is_declared_once_and_sorted_by_its_module() -> None:
    for module in pkgutil.walk_packages(caten_sd.formats.__path__, "caten_sd.formats."):
        importlib.import_module(module.name)
    ours = [
        kind
        for kind in Format.__subclasses__()
        if kind.__module__.startswith("caten_sd.formats.") and kind.__module__ in sys.modules
    ]
    loaded = [type(declared.load()) for declared in DECLARED]
    assert len(loaded) == len(set(loaded))
    assert set(loaded) == set(ours)
    assert [declared.module for declared in DECLARED] == sorted(each.__module__ for each in loaded)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda each: each.attributes.name)
def test_the_text_says_what_the_class_says(declared) -> None:  # type: ignore[no-untyped-def]
    assert type(declared.attributes) is Format  # which was made without an import
    format = declared.load()
    for name in ATTRIBUTES:
        assert getattr(declared.attributes, name) == getattr(format, name), name


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files count as those of formats/, and are forgotten again after the test."""
    path = tmp_path / "more"
    path.mkdir()
    monkeypatch.setattr(caten_sd.formats, "__path__", [*caten_sd.formats.__path__, str(path)])
    declarations._modules.cache_clear()
    yield path
    declarations._modules.cache_clear()
    for file in path.glob("*.py"):
        sys.modules.pop(f"caten_sd.formats.{file.stem}", None)


@pytest.mark.parametrize(
    ("kind", "name", "imported"), [("quick", '"q"', False), ("slow", "HEAD", True)]
)
def test_a_format_is_one_more_file_which_is_imported_first_if_it_is_not_literal(
    more: Path, kind: str, name: str, imported: bool, tmp_path: Path
) -> None:
    (more / f"{kind}.py").write_text(ONE_FILE.format(kind=kind, name=name))
    assert len(list(built_in_formats())) == len(DECLARED) + 1
    assert (f"caten_sd.formats.{kind}" in sys.modules) is imported
    path = tmp_path / f"w.{kind}"
    write_state_dict({"a": np.array(2, "f4")}, path)
    with read_state_dict(path) as found:
        assert found.origin == ("#lines" if imported else "q")
        assert found["a"] == 2
    assert kind in {type(format).__name__ for format in formats()}

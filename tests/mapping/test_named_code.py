from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from caten_sd.errors import CatenError
from caten_sd.mapping.named_code import module_of, names_code, split_name


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("mine.py", "mine.py", ""),
        ("mine.py:LAYOUT", "mine.py", "LAYOUT"),
        ("a dir/mine.py:A", "a dir/mine.py", "A"),
        ("C:\\x\\mine.py:A", "C:\\x\\mine.py", "A"),
        ("package.module:A.b", "package.module", "A.b"),
        ("module:load('x.py:y')", "module", "load('x.py:y')"),
        ("module:load('x.py')", "module", "load('x.py')"),
    ],
)
def test_code_is_a_file_or_a_module_and_a_name(text: str, place: str, name: str) -> None:
    assert split_name(text) == (place, name)
    assert names_code(text)


@pytest.mark.parametrize(
    "text", ["", "hf-gpt2", "module", "w.pt", "a.tar::w.pt", "module:", "dir/x:y", ":x", "a..b:c"]
)
def test_other_words_are_not_code(text: str) -> None:
    assert not names_code(text)


def test_a_file_runs_again_only_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 1\n")
    module = module_of(str(file))
    assert module_of(str(file)) is module
    file.write_text("A = 2  # changed\n")
    assert module_of(str(file)).A == 2


def test_a_file_takes_no_packages_name(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("MINE = 1\n")
    assert module_of(str(tmp_path / "json.py")).MINE == 1
    assert not hasattr(sys.modules["json"], "MINE")


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        module_of(str(tmp_path / "bad.py"))
    assert {name for name in set(sys.modules) - before if "bad" in name} == set()


def test_the_current_folder_is_searched_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    (first / "named_twice.py").write_text("FROM = 'first'\n")
    (tmp_path / "named_twice.py").write_text("FROM = 'current'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path, str(first)])
    assert module_of("named_twice").FROM == "first"
    assert sys.path[-1] == os.getcwd()


@pytest.mark.parametrize("place", ["no_such_module", "no_such.module", "no/such.py"])
def test_what_was_looked_for_and_where_is_said(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    with pytest.raises(CatenError) as caught:
        module_of(place)
    assert repr(place) in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_what_a_module_lacks_is_not_said_of_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imports_absent.py").write_text("import absent_dependency\n")
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        module_of("imports_absent")

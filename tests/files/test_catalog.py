"""Which formats there are, and which one answers for a file or a target."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import Format, FormatError, read, recognize, write, write_state_dict
from caten_sd.files.catalog import file_suffixes, find_format, format_of_target, formats
from caten_sd.files.format import Contents
from caten_sd.state.source import Folder, open_file


def test_every_file_in_the_folder_of_formats_is_a_format_once() -> None:
    names = [format.name for format in formats()]
    assert len(names) == len(set(names))
    assert len({type(format) for format in formats()}) == len(names)


def test_the_format_of_that_name_is_asked_first_and_alone() -> None:
    code = """
import sys
from caten_sd.files.catalog import formats
assert next(formats("npz")).suffixes == (".npz",)
loaded = [name for name in sys.modules if name.startswith("caten_sd.formats.")]
assert loaded == ["caten_sd.formats.npz"], loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".gguf", ".pt", ".msgpack"])
def test_a_suffix_names_the_format_to_write(suffix: str, tmp_path: Path) -> None:
    assert suffix in format_of_target(tmp_path / f"w{suffix}").suffixes
    assert format_of_target(tmp_path / f"W{suffix.upper()}") is not None
    assert suffix in file_suffixes()


def test_a_suffix_that_names_none_is_an_error_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"w\.xyz: its suffix names no format; use one of .*\.npz"
    ):
        format_of_target(tmp_path / "w.xyz")


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pt", "no_suffix", "w.bin"])
def test_a_file_is_recognised_by_its_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_state_dict({"w": np.zeros(2, "f4")}, path)
    path = path.rename(tmp_path / name)
    assert find_format(open_file(path)).name == "safetensors"


def test_a_file_of_no_format_is_an_error_that_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "w.xyz"
    path.write_bytes(b"\1nothing that anybody knows")
    with pytest.raises(FormatError, match=r"it is none of the known formats; they are .*npz"):
        find_format(open_file(path))


def test_the_format_of_the_suffix_says_what_is_wrong_with_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\1nothing that anybody knows")
    assert find_format(open_file(path)).name == "safetensors"


def test_a_folder_without_a_checkpoint_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no file in it makes it a checkpoint; it holds nothing"):
        find_format(Folder(tmp_path))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FormatError, match=r"it holds notes\.txt"):
        find_format(Folder(tmp_path))


@pytest.fixture
def lines() -> Iterator[type[Format]]:
    """A format of a user's own: a line a tensor; it is forgotten again after the test."""

    class Lines(Format):
        name = "lines"
        suffixes = (".lines",)

    @recognize.register(Lines)
    def recognize_lines(format: Any, source: Any, /) -> str | None:
        return "a first line" if source.head(6) == b"#lines" else None

    @read.register(Lines)
    def read_lines(format: Any, source: Any, /) -> Contents:
        rows = source.read(0, source.size).decode().splitlines()[1:]
        tree = {row.split()[0]: np.array(row.split()[1:], "f4") for row in rows}
        return Contents(tree, {})

    @write.register(Lines)
    def write_lines(format: Any, target: Any, state_dict: Any, /) -> None:
        target.write(b"#lines\n")
        for key, leaf in state_dict.items():
            target.write(f"{key} {' '.join(map(str, leaf.tolist()))}\n".encode())

    yield Lines
    Lines.name = ""  # a nameless format is none


def test_a_format_defined_anywhere_is_known_from_then_on(
    lines: type[Format], tmp_path: Path
) -> None:
    from caten_sd import read_state_dict

    path = tmp_path / "w.lines"
    write_state_dict({"a": np.array([1, 2], "f4"), "b": np.array([3], "f4")}, path)
    assert path.read_text() == "#lines\na 1.0 2.0\nb 3.0\n"
    state = read_state_dict(path.rename(tmp_path / "w.npz"))
    assert {key: leaf.tolist() for key, leaf in state.items()} == {"a": [1, 2], "b": [3]}
    assert state.origin == "lines"

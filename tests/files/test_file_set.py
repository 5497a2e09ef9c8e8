from __future__ import annotations

import os
from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.atomic import MARK
from caten_sd.files.file_set import file_set, new_folder


def write(folder: Path, name: str, data: bytes = b"old") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def test_a_set_counts_once_its_last_file_is_there(tmp_path: Path) -> None:
    write(tmp_path, "index")
    with file_set(tmp_path) as files:
        with files.create("part") as file:
            file.write(b"new")
        assert (tmp_path / "index").read_bytes() == b"old"
        with files.commit("index") as file:
            file.write(b"new")
        files.remove(["absent"])
    assert (tmp_path / "index").read_bytes() == (tmp_path / "part").read_bytes() == b"new"


@pytest.mark.parametrize("at", ["create", "between", "commit"])
def test_what_fails_leaves_nothing(tmp_path: Path, at: str) -> None:
    def save(folder: Path) -> None:
        with file_set(folder) as files:
            with files.create("part") as file:
                file.write(b"new")
                if at == "create":
                    raise RuntimeError("out of it")
            if at == "between":
                raise RuntimeError("out of it")
            with files.commit("index") as file:
                raise RuntimeError("out of it")

    write(tmp_path / "old", "index")
    for folder in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(RuntimeError):
            save(folder)
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == ["index"]


def test_a_name_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, "part")
    with file_set(tmp_path) as files:
        taken = files.create("part")
        with pytest.raises(FormatError, match="cannot be written"), taken:
            pass
    assert (tmp_path / "part").read_bytes() == b"old"


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out[1]"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f".out[1].killed{MARK}").mkdir()
    with new_folder(target) as files:
        with files.create("a") as file:
            file.write(b"new")
        assert not target.exists()
    assert os.listdir(tmp_path / "deep") == ["out[1]"]
    assert os.listdir(target) == ["a"]
    with pytest.raises(FormatError, match="cannot be replaced"), new_folder(target):
        pass


def test_a_new_folder_that_fails_never_was(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as files, files.create("a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path, "file")
    with pytest.raises(FormatError, match="cannot be made"), file_set(tmp_path / "file" / "x"):
        pass
    with pytest.raises(FormatError, match="cannot be written"), new_folder(tmp_path / "file" / "x"):
        pass

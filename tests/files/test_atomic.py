from __future__ import annotations

import os
from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.atomic import MARK, replacing


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "w[1].bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["w[1].bin"]


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path):
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["w.bin"]


def test_the_leftover_of_a_killed_save_is_removed_by_the_next_one(tmp_path: Path) -> None:
    for stale in (f".w[1].bin.x{MARK}", f".other.bin.x{MARK}"):
        (tmp_path / stale).write_bytes(b"half")
    with replacing(tmp_path / "w[1].bin") as file:
        file.write(b"new")
    assert sorted(os.listdir(tmp_path)) == [f".other.bin.x{MARK}", "w[1].bin"]


def test_permissions_are_those_of_a_plain_file_or_are_kept(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "w.bin"
    plain.write_bytes(b"")
    for mode in (plain.stat().st_mode, 0o100600):
        with replacing(path) as file:
            file.write(b"new")
        assert path.stat().st_mode == mode
        path.chmod(0o600)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such folder"), replacing(tmp_path / "no" / "w"):
        pass
    with pytest.raises(FormatError, match="cannot be written"), replacing(tmp_path):
        pass
    assert os.listdir(tmp_path) == []
    assert not [name for name in os.listdir(tmp_path.parent) if MARK in name]

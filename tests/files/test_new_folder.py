from __future__ import annotations

import os
from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.leftovers import MARK
from caten_sd.files.new_folder import new_folder


def write(path: Path, data: bytes) -> None:
    with new_folder(path) as files, files.create("a") as file:
        file.write(data)


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


def test_an_empty_folder_is_as_if_it_were_absent(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as files, files.create("a") as file:
        file.write(b"new")
    assert os.listdir(tmp_path / "out") == ["a"]


def test_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "fifo", "link"):
        with (
            pytest.raises(FormatError, match=f"{name}: .*is something"),
            new_folder(tmp_path / name),
        ):
            pytest.fail("it was begun")
    with pytest.raises(FormatError, match="cannot be written"), new_folder(tmp_path / "file" / "x"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["fifo", "file", "link"]


def test_of_two_that_overlap_the_second_to_finish_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def overlap() -> None:
        with new_folder(target) as files:
            with files.create("a") as file:
                file.write(b"slow")
            write(target, b"fast")
            assert len([name for name in os.listdir(tmp_path) if name.endswith(MARK)]) == 1

    with pytest.raises(FormatError, match=r"another save was done first.*choose a new path"):
        overlap()
    assert (target / "a").read_bytes() == b"fast"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_that_came_in_the_meantime_stays(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="out: another save"), new_folder(tmp_path / "out"):
        (tmp_path / "out").write_bytes(b"theirs")
    assert (tmp_path / "out").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_the_umask_is_honored(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "out", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o777 & ~mask
    assert (tmp_path / "out" / "a").stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_empty_folder_keeps_its_permissions_and_a_link_to_one_leads_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_an_error_names_the_folder_as_it_was_given(tmp_path: Path) -> None:
    with (
        pytest.raises(FormatError) as caught,
        new_folder(tmp_path / "out") as files,
        files.create("no/a"),
    ):
        pass
    assert caught.value.source == str(tmp_path / "out" / "no/a")
    assert MARK not in str(caught.value)

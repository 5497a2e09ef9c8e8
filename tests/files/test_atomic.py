from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.atomic import checked, replacing
from caten_sd.files.leftovers import MARK


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
    with pytest.raises(FormatError, match="a folder is there"), replacing(tmp_path):
        pass
    assert os.listdir(tmp_path) == []
    assert not [name for name in os.listdir(tmp_path.parent) if MARK in name]


def stored(path: Path) -> tuple[int, ...]:
    """Return all that a system keeps of a path, but when it was last looked at: following a link
    is enough to change that.
    """
    at = os.lstat(path)
    return (*at[:7], at.st_mtime_ns, at.st_ctime_ns)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "folder"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str, linked: bool) -> None:
    there = {"device": Path("/dev/null")}.get(kind, tmp_path / "there")
    server = socket.socket(socket.AF_UNIX)
    if kind == "FIFO":
        os.mkfifo(there)
    elif kind == "socket":
        server.bind(str(there))
    elif kind == "folder":
        there.mkdir()
    server.close()
    path = tmp_path / "w.bin" if linked else there
    if linked:
        path.symlink_to(there)
    before = stored(path)
    with pytest.raises(FormatError, match=f"a {kind} is there.*choose another"), replacing(path):
        pytest.fail("it was opened")
    assert stored(path) == before
    assert sorted(os.listdir(tmp_path)) == sorted({path.name, there.name} - {"null"})


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"old")
    for place, leads in (("w", "blob"), ("v", "nowhere")):
        (tmp_path / place).symlink_to(leads)
        with replacing(tmp_path / place) as file:
            file.write(b"new")
        assert (tmp_path / place).read_bytes() == b"new"
        assert not (tmp_path / place).is_symlink()
    assert (tmp_path / "blob").read_bytes() == b"old"


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_the_umask_of_the_moment_is_honored(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "w") as file:
            modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            file.write(b"new")
    finally:
        os.umask(before)
    assert modes == {0o666 & ~mask} == {(tmp_path / "w").stat().st_mode & 0o777}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_the_permissions_of_the_old_file_count_from_the_first_byte(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as file:
        file.write(b"new")
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {mode}
    assert path.stat().st_mode & 0o777 == mode


def test_the_working_folder_may_change_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with replacing(Path("w")) as file:
        os.chdir("other")
        file.write(b"new")
    assert (tmp_path / "w").read_bytes() == b"new"
    assert os.listdir() == []


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "a\nb", "[*]?", ".hidden", "-rf", " "])
def test_any_name_that_a_file_can_have(tmp_path: Path, name: str) -> None:
    for text in (b"old", b"new"):
        with replacing(tmp_path / name) as file:
            assert all(each.startswith(".") for each in os.listdir(tmp_path) if each != name)
            file.write(text)
        assert (tmp_path / name).read_bytes() == text
        assert os.listdir(tmp_path) == [name]


def test_a_check_reads_what_was_written_before_it_replaces_anything(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"old")
    read = []

    def check(written: Path, target: Path) -> None:
        read.append((written.read_bytes(), target.read_bytes()))
        if len(read) == 1:
            raise FormatError(target, "it is wrong")

    with pytest.raises(FormatError, match="it is wrong"), checked(check), replacing(path) as file:
        file.write(b"bad")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["w"])
    with checked(check), replacing(path) as file:
        file.write(b"new")
    assert read == [(b"bad", b"old"), (b"new", b"old")]
    with replacing(path):
        pass
    assert len(read) == 2  # the check is gone with its context

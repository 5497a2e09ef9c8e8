from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files import locks
from caten_sd.files.file_set import file_set


def write(folder: Path, name: str, data: bytes = b"old") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def test_a_set_counts_once_its_last_file_is_there(tmp_path: Path) -> None:
    write(tmp_path, "index")
    with file_set(tmp_path, "index") as files:
        with files.create("part") as file:
            file.write(b"new")
        assert (tmp_path / "index").read_bytes() == b"old"
        with files.commit() as file:
            file.write(b"new")
        files.remove(["absent"])
    assert (tmp_path / "index").read_bytes() == (tmp_path / "part").read_bytes() == b"new"


@pytest.mark.parametrize("at", ["create", "between", "commit"])
def test_what_fails_leaves_nothing(tmp_path: Path, at: str) -> None:
    def save(folder: Path) -> None:
        with file_set(folder, "index") as files:
            with files.create("part") as file:
                file.write(b"new")
                if at == "create":
                    raise RuntimeError("out of it")
            if at == "between":
                raise RuntimeError("out of it")
            with files.commit() as file:
                raise RuntimeError("out of it")

    write(tmp_path / "old", "index")
    for folder in (tmp_path / "old", tmp_path / "new"):
        with pytest.raises(RuntimeError):
            save(folder)
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(tmp_path / "old") == ["index"]


def test_a_name_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, "part")
    with file_set(tmp_path, "index") as files:
        taken = files.create("part")
        with pytest.raises(FormatError, match="cannot be written"), taken:
            pass
    assert (tmp_path / "part").read_bytes() == b"old"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path, "file")
    refusals = {"file": "a file is there.*cannot become a folder", "file/x": "cannot be written"}
    for name, refusal in refusals.items():
        with pytest.raises(FormatError, match=refusal), file_set(tmp_path / name, "index"):
            pytest.fail("a file could have been written")
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "index")
    with pytest.raises(FormatError, match="a FIFO is there"), file_set(tmp_path / "in", "index"):
        pytest.fail("a file could have been written")
    assert os.listdir(tmp_path / "in") == ["index"]


def test_an_interruption_right_after_the_commit_discards_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.replace

    def renamed(old: Path, new: Path) -> None:
        rename(old, new)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", renamed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, b"new")
    assert sorted(os.listdir(tmp_path)) == ["index", "new"]


def save(folder: Path, data: bytes) -> None:
    """Save one file, named after what is in it, and an index that says so."""
    with file_set(folder, "index") as files:
        before = [name for name in files.names() if name != "index"]
        with files.create(data.decode()) as file:
            file.write(data)
        with files.commit() as file:
            file.write(data)
        files.remove(before)


def test_a_second_save_waits(tmp_path: Path) -> None:
    waiting = threading.Thread(target=save, args=(tmp_path, b"second"))
    with file_set(tmp_path, "index") as files:
        with files.create("first") as file:
            file.write(b"first")
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert files.names() == ["first"]
        with files.commit() as file:
            file.write(b"first")
    waiting.join()
    assert sorted(os.listdir(tmp_path)) == ["index", "second"]


def test_a_save_that_waits_for_one_that_fails_makes_the_folder_again(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    waiting = threading.Thread(target=save, args=(folder, b"second"))

    def fail() -> None:
        with file_set(folder, "index"):
            waiting.start()
            waiting.join(0.2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    waiting.join()
    assert sorted(os.listdir(folder)) == ["index", "second"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_in_a_save_does_not_keep_the_lock(tmp_path: Path) -> None:
    with file_set(tmp_path, "index") as files:
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        with files.commit() as file:
            file.write(b"first")
    try:
        saving = threading.Thread(target=save, args=(tmp_path, b"second"), daemon=True)
        saving.start()
        saving.join(10)
        assert not saving.is_alive()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_files_have_the_permissions_of_the_old_index(tmp_path: Path) -> None:
    save(tmp_path, b"old")
    (tmp_path / "index").chmod(0o600)
    save(tmp_path, b"new")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_working_folder_may_change_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with file_set(Path("ck"), "index") as files:
        os.chdir("other")
        with files.create("new") as file:
            file.write(b"new")
        with files.commit() as file:
            file.write(b"new")
    assert sorted(os.listdir(tmp_path / "ck")) == ["index", "new"]
    assert os.listdir() == []


class TestWithoutLocks:
    @pytest.fixture(autouse=True)
    def _no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(locks, "lock", lambda handle, wait=False: None)

    def test_what_came_while_the_set_was_written_stays(self, tmp_path: Path) -> None:
        for name in ("old", "changed", "index"):
            write(tmp_path, name)
        with file_set(tmp_path, "index") as files:
            assert not files.locked
            write(tmp_path, "another")
            write(tmp_path, "changed", b"by another")
            with files.commit() as file:
                file.write(b"new")
            files.remove(["old", "changed", "another", "absent"])
        assert sorted(os.listdir(tmp_path)) == ["another", "changed", "index"]

    def test_a_set_that_lost_a_file_is_not_committed(self, tmp_path: Path) -> None:
        write(tmp_path, "index")

        def lose() -> None:
            with file_set(tmp_path, "index") as files:
                with files.create("part") as file:
                    file.write(b"new")
                (tmp_path / "part").unlink()
                with files.commit() as file:
                    file.write(b"new")

        with pytest.raises(FormatError, match=r"part: another program removed it.*save again"):
            lose()
        assert (tmp_path / "index").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["index"]

    def test_a_failure_discards_its_own_files_alone(self, tmp_path: Path) -> None:
        def collide() -> None:
            with file_set(tmp_path, "index") as files:
                write(tmp_path, "part")
                with files.create("own") as file:
                    file.write(b"new")
                files.reserve("part")

        with pytest.raises(FormatError, match="part"):
            collide()
        assert os.listdir(tmp_path) == ["part"]

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from caten_sd.files.locks import FolderLock, lock, unlock


def test_a_lock_is_one_handles_alone(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert (lock(first), lock(second)) == (True, False)
    unlock(first)
    assert lock(second) is True
    os.close(second)
    assert lock(first) is True
    os.close(first)


def test_where_the_file_system_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, flags: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FolderLock(tmp_path) as one, FolderLock(tmp_path) as other:
        assert not one.held
        assert not other.held


def test_a_folder_is_made_and_what_made_it_is_said(tmp_path: Path) -> None:
    for made in (True, False):
        with FolderLock(tmp_path / "a" / "b") as taken:
            assert (taken.held, taken.made) == (True, made)
        assert not taken.held
        taken.release()


def test_a_lock_that_is_dropped_or_interrupted_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FolderLock(tmp_path).__enter__()  # and it is gone
    real = fcntl.flock

    def interrupted(handle: int, flags: int) -> None:
        real(handle, flags)
        if flags & fcntl.LOCK_EX:
            raise KeyboardInterrupt

    monkeypatch.setattr(fcntl, "flock", interrupted)
    with pytest.raises(KeyboardInterrupt):
        FolderLock(tmp_path).__enter__()
    monkeypatch.setattr(fcntl, "flock", real)
    with FolderLock(tmp_path) as taken:
        assert taken.held


def test_a_folder_that_is_replaced_while_one_waits_is_locked_anew(tmp_path: Path) -> None:
    folder = tmp_path / "ck"
    got = []

    def take() -> None:
        with FolderLock(folder):
            got.append(os.stat(folder).st_ino)

    with FolderLock(folder):
        waiting = threading.Thread(target=take)
        waiting.start()
        waiting.join(0.1)
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        new = os.stat(folder).st_ino
    waiting.join()
    assert got == [new]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_that_drops_a_lock_does_not_give_it_back(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as taken:
        child = os.fork()
        if not child:
            taken.release()
            os._exit(0)
        os.waitpid(child, 0)
        handle = os.open(tmp_path, os.O_RDONLY)
        assert lock(handle) is False
    assert lock(handle) is True
    os.close(handle)

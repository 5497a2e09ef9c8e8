"""Whose hidden files are removed: those of dead writers, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from caten_sd.files import leftovers, locks
from caten_sd.files.atomic import replacing
from caten_sd.files.leftovers import MARK, hidden_name, sweep

LIVING = """
import sys
from pathlib import Path
from caten_sd.files.atomic import replacing
with replacing(Path(sys.argv[1])) as file:
    print("begun", flush=True)
    sys.stdin.read()
    file.write(b"living")
"""


def hidden(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(MARK))


def test_a_hidden_name_is_new_and_within_the_limit_of_every_file_system(tmp_path: Path) -> None:
    for name in ("w.bin", "x" * 255, "ä" * 127, "\udcff" * 255):
        names = {hidden_name(tmp_path / name).name for _ in range(50)}
        assert len(names) == 50
        assert all(each.startswith(".") and len(os.fsencode(each)) <= 255 for each in names)


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "w"
    writer = subprocess.Popen(
        [sys.executable, "-c", LIVING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdout.readline()
        before = hidden(tmp_path)
        with replacing(path) as file:
            file.write(b"second")
        assert hidden(tmp_path) == before != []
        assert path.read_bytes() == b"second"
        writer.stdin.close()
    assert (writer.returncode, path.read_bytes(), os.listdir(tmp_path)) == (0, b"living", ["w"])


@pytest.mark.parametrize("name", ["w", "x" * 255])
def test_what_a_killed_process_left_goes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    writer = subprocess.Popen(
        [sys.executable, "-c", LIVING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
    assert len(hidden(tmp_path)) == 1
    sweep(path)
    assert hidden(tmp_path) == []


def test_what_is_not_a_file_of_ours_does_no_harm(tmp_path: Path) -> None:
    target, kept = tmp_path / "w", tmp_path / "kept"
    kept.write_bytes(b"kept")
    hidden_name(target).symlink_to(kept)
    os.mkfifo(hidden_name(target))
    folder = hidden_name(target)
    folder.mkdir()
    (folder / "a").write_bytes(b"left")
    (folder / "link").symlink_to(tmp_path)
    sweep(target)
    assert kept.read_bytes() == b"kept"
    assert not folder.exists()


def test_without_locks_nothing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "lock", lambda handle: None)
    stale = hidden_name(tmp_path / "w")
    stale.write_bytes(b"half")
    sweep(tmp_path / "w")
    assert hidden(tmp_path) == [stale.name]


def test_a_file_that_is_swept_before_its_writer_has_the_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []

    def lock_late(handle: int) -> bool | None:
        if len(swept) < 3:
            swept.extend(hidden(tmp_path))
            sweep(tmp_path / "w")
        return locks.lock(handle)

    monkeypatch.setattr("caten_sd.files.atomic.lock", lock_late)
    with replacing(tmp_path / "w") as file:
        file.write(b"new")
    assert len(set(swept)) == 3
    assert os.listdir(tmp_path) == ["w"]
    assert (tmp_path / "w").read_bytes() == b"new"


def test_many_writers_and_sweepers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "w"
    failed: list[BaseException] = []

    def save(number: int) -> None:
        try:
            for _ in range(40):
                with replacing(path) as file:
                    file.write(bytes([number]) * 1000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert os.listdir(tmp_path) == ["w"]
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 1000

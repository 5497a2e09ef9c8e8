"""A new file is sent to the disk in shares, and its bytes are those that were written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from caten_sd.errors import FormatError
from caten_sd.files import synced_file
from caten_sd.files.atomic import checked, replacing


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the ranges that the system is told of, in shares of 100 bytes and a buffer of 10."""
    told: list[tuple[int, int]] = []

    def advise(handle: int, start: int, count: int, advice: int) -> None:
        told.append((start, count))
        raise OSError(errno.EINVAL, "a file system that takes no advice")

    monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(synced_file, "_SHARE", 100)
    monkeypatch.setattr(synced_file, "_BUFFER", 10)
    return told


def test_every_byte_is_sent_once_and_the_last_before_the_check(
    tmp_path: Path, shares: list[tuple[int, int]]
) -> None:
    seen: list[Any] = []
    with checked(lambda written, target: seen.extend(shares)), replacing(tmp_path / "w") as file:
        for number in range(100):
            file.write(bytes([number]) * (1 + 3 * (number % 2)))
    assert (tmp_path / "w").read_bytes() == b"".join(
        bytes([number]) * (1 + 3 * (number % 2)) for number in range(100)
    )
    assert seen == shares
    assert [start for start, _ in shares] == [sum(n for _, n in shares[:i]) for i in range(3)]
    assert sum(count for _, count in shares) == 250


def test_a_system_without_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    monkeypatch.setattr(synced_file, "_SHARE", 1)
    with replacing(tmp_path / "w") as file:
        file.write(b"new")
    assert (tmp_path / "w").read_bytes() == b"new"


def test_an_error_of_the_disk_is_one_of_the_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").write_bytes(b"old")

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FormatError, match="Input/output error"), replacing(tmp_path / "w") as file:
        file.write(b"new")
    assert (tmp_path / "w").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["w"]

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.state.backing import (
    Backing,
    BytesBacking,
    FileBacking,
    ReopenedBacking,
)
from caten_sd.state.joined_backing import JoinedBacking
from caten_sd.state.source import Source

DATA = bytes(range(256)) * 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(DATA)
    return tmp_path / "data"


def parts(sizes: list[int]) -> JoinedBacking:
    sources, at = [], 0
    for size in sizes:
        sources.append(Source(f"part {at}", BytesBacking(DATA), at, size))
        at += size
    return JoinedBacking(sources)


def every(path: Path) -> list[Backing]:
    return [
        FileBacking(path),
        FileBacking(path, streaming=True),
        FileBacking(os.open(path, os.O_RDONLY)),
        ReopenedBacking(path, FileBacking(path).identity),
        BytesBacking(DATA),
        parts([100, 0, 50_000, len(DATA) - 50_100]),
    ]


@pytest.mark.parametrize(
    ("start", "count"), [(0, 10), (99, 2), (0, len(DATA)), (70_000, 0), (4095, 9000), (100, 50_000)]
)
def test_all_give_the_same_bytes(path: Path, start: int, count: int) -> None:
    for backing in every(path):
        assert backing.read(start, count) == DATA[start : start + count]
        assert bytes(backing.view(start, count)) == DATA[start : start + count]
        backing.close()


def test_views_outlive_the_handle_and_nothing_is_read_after_it(path: Path) -> None:
    for backing in every(path)[:4]:
        view = backing.view(5, 6)
        backing.close()
        backing.close()
        assert bytes(view) == DATA[5:11]
        with pytest.raises(ValueError, match="closed"):
            backing.read(0, 1)


def test_what_is_written_to_a_view_stays_in_the_process(path: Path) -> None:
    backing = FileBacking(path)
    backing.view(0, 4)[0:1] = b"x"
    backing.close()
    assert path.read_bytes() == DATA


def test_where_mapping_is_refused_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no maps here")

    monkeypatch.setattr("mmap.mmap", refuse)
    backing = FileBacking(path)
    assert not backing.mapped
    assert bytes(backing.view(7, 9)) == DATA[7:16]
    backing.close()


def test_a_reopened_file_holds_no_handle_and_notices_a_change(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    backing = ReopenedBacking(path, FileBacking(path).identity)
    backing.read(0, 5)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
    path.write_bytes(b"shorter")
    with pytest.raises(ValueError, match="the file changed from 76800 to 7 bytes"):
        backing.read(0, 5)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.data())
def test_parts_are_as_one(sizes: list[int], data: st.DataObject) -> None:
    whole, backing = DATA[: sum(sizes)], parts(sizes)
    start = data.draw(st.integers(0, len(whole)))
    count = data.draw(st.integers(0, len(whole) - start))
    assert backing.read(start, count) == whole[start : start + count]
    assert bytes(backing.view(start, count)) == whole[start : start + count]

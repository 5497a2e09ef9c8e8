from __future__ import annotations

import os
from pathlib import Path

import pytest

from caten_sd.backing import BytesBacking
from caten_sd.errors import FormatError
from caten_sd.source import Folder, Source, open_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a").write_bytes(b"abcdef")
    (tmp_path / "in" / "sub" / "b").write_bytes(b"b")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c").write_bytes(b"secret")
    return tmp_path / "in"


def source() -> Source:
    return Source("a.bin", BytesBacking(b"0123456789"), 2, 6)


def test_a_window_of_a_window() -> None:
    inner = source().window(1, 4).window(1, 2, "inner")
    assert (inner.name, inner.size, inner.read(0, 2)) == ("inner", 2, b"45")
    assert bytes(source().view(0, 6)) == b"234567"
    assert source().head(100) == b"234567"


@pytest.mark.parametrize(("offset", "count"), [(0, 7), (6, 1), (-1, 1), (3, -1), (1 << 70, 1)])
def test_nothing_beyond_it_is_read(offset: int, count: int) -> None:
    for touch in (source().read, source().view, source().window):
        with pytest.raises(FormatError, match=r"a\.bin: it is .* bytes short"):
            touch(offset, count)


def test_an_adopted_source_is_closed_with_it(folder: Path) -> None:
    outer, other = open_file(folder / "a"), open_file(folder / "sub" / "b")
    outer.adopt(other)
    outer.close()
    with pytest.raises(FormatError, match="closed"):
        other.read(0, 1)


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "/etc/passwd", "sub/../../secret"])
@pytest.mark.parametrize("spoil", ["", "\0", "\\"])
def test_a_name_never_leads_out_of_a_folder(folder: Path, name: str, spoil: str) -> None:
    with pytest.raises(FormatError, match="no plain path inside it"):
        Folder(folder).member(name + spoil if spoil or name else name)


def test_entries_may_be_links_and_folders_on_the_way_may_not(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "away").symlink_to(folder.parent / "out")
    opened = Folder(folder)
    assert opened.member("link").read(0, 6) == b"secret"
    assert opened.member("sub/b").read(0, 1) == b"b"
    with pytest.raises(FormatError, match="'away' in it is a link"):
        opened.member("away/c")
    opened.close()


def test_names_sizes_and_what_is_there(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    opened = Folder(folder)
    assert opened.names() == ["a", "pipe"]
    assert [opened.has(n) for n in ("a", "pipe", "sub", "x", "n" * 300)] == [True] + [False] * 4
    assert [opened.size(name) for name in ("a", "pipe", "x")] == [6, 0, 0]
    assert opened.member("a") is opened.member("a")


@pytest.mark.parametrize("name", ["pipe", "loop", "gone", "/dev/zero", "dangling"])
def test_only_regular_files_are_opened(folder: Path, name: str) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "dangling").symlink_to(folder / "gone")
    with pytest.raises(FormatError, match=r"no such file|no regular file|cannot be opened"):
        open_file(folder / name)


def test_a_file_that_shrinks_is_no_crash(folder: Path) -> None:
    opened = open_file(folder / "a")
    (folder / "a").write_bytes(b"abc")
    with pytest.raises(FormatError, match="it shrank while it was read, at byte 3"):
        opened.read(0, 6)
    opened.close()

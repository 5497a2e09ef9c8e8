"""A file's bytes, never past what is there; a folder's files, never outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from caten_sd import FormatError
from caten_sd.state.backing import BytesBacking, FileBacking, ReopenedBacking
from caten_sd.state.joined_backing import JoinedBacking
from caten_sd.state.source import Folder, Source, open_file

DATA = bytes(range(100)) * 100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


def joined(path: Path) -> Source:
    half = open_file(path)
    parts = [half.window(0, 5000), half.window(5000, 0), half.window(5000, 5000)]
    return Source("joined", JoinedBacking(parts), 0, len(DATA))


KINDS: dict[str, Callable[[Path], Source]] = {
    "mapped": open_file,
    "streaming": lambda path: open_file(path, streaming=True),
    "reopened": lambda path: open_file(path, held=False),
    "memory": lambda path: Source("memory", BytesBacking(path.read_bytes()), 0, len(DATA)),
    "joined": joined,
}


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, file: Path) -> Source:
    return KINDS[request.param](file)


@pytest.mark.parametrize(
    ("offset", "count"), [(0, 0), (0, 10), (4095, 10), (4990, 20), (9990, 10), (10000, 0)]
)
def test_every_kind_of_source_gives_the_same_bytes(source: Source, offset: int, count: int) -> None:
    expected = DATA[offset : offset + count]
    assert bytes(source.view(offset, count)) == source.read(offset, count) == expected
    assert isinstance(source.read(offset, count), bytes)


def test_a_filler_reads_from_a_place_of_its_own(source: Source) -> None:
    fill = source.filler(4000, 3000)
    for at, count in ((0, 10), (995, 10), (2990, 10), (3000, 0)):
        buffer = bytearray(count)
        fill(at, memoryview(buffer))
        assert buffer == DATA[4000 + at : 4000 + at + count]
    source.check()
    with pytest.raises(FormatError, match="short"):
        source.filler(9000, 1001)


def test_a_source_knows_its_name_and_size(source: Source) -> None:
    assert (source.size, str(source)) == (len(DATA), source.name)
    assert source.head(5) == DATA[:5]
    assert source.head(1 << 40) == DATA


@pytest.mark.parametrize(
    ("offset", "count", "problem"),
    [
        (0, 10001, "1 byte short"),
        (9999, 2, "1 byte short"),
        (10001, 0, "1 byte short"),
        (1 << 62, 1 << 62, f"{(1 << 63) - 10000:,} bytes short"),
        (-1, 1, "before its beginning"),
        (5, -1, "before its beginning"),
    ],
)
def test_nothing_is_read_outside(source: Source, offset: int, count: int, problem: str) -> None:
    for read in (source.view, source.read, source.window):
        with pytest.raises(FormatError, match=problem):
            read(offset, count)


def test_a_window_begins_anew_and_ends_early(source: Source) -> None:
    window = source.window(4990, 20, "member").window(5, 10)
    assert (window.name, window.size) == ("member", 10)
    assert window.read(0, 10) == DATA[4995:5005]
    with pytest.raises(FormatError, match=r"member: it is 1 byte short"):
        window.view(0, 11)


def test_what_was_read_stays_valid_when_the_source_is_closed(source: Source) -> None:
    view = source.view(0, 10)
    source.close()
    source.close()
    assert bytes(view) == DATA[:10]


@pytest.mark.parametrize("kind", ["mapped", "streaming", "reopened"])
def test_a_closed_file_is_an_error_of_ours(kind: str, file: Path) -> None:
    source = KINDS[kind](file)
    source.close()
    for read in (source.view, source.read):
        with pytest.raises(FormatError, match=r"cannot be read .*; open it again"):
            read(0, 1)


@pytest.mark.parametrize("kind", ["mapped", "streaming", "reopened", "joined"])
def test_writing_to_a_view_never_reaches_the_file(kind: str, file: Path) -> None:
    view = KINDS[kind](file).view(0, 10)
    assert not view.readonly
    view[0] = 255
    assert file.read_bytes() == DATA


def test_only_what_cannot_fail_later_counts_as_mapped(file: Path) -> None:
    found = {kind: make(file).mapped for kind, make in KINDS.items()}
    assert found == {
        "mapped": True,
        "streaming": False,
        "reopened": False,
        "memory": True,
        "joined": True,
    }


def test_a_file_that_shrank_is_an_error(file: Path) -> None:
    source = open_file(file, streaming=True)
    os.truncate(file, 5000)
    with pytest.raises(FormatError, match="the file changed from 10000 to 5000 bytes"):
        source.read(4000, 2000)


@pytest.mark.parametrize("kind", ["mapped", "streaming", "reopened"])
def test_what_was_filled_from_a_file_that_changed_is_told(kind: str, file: Path) -> None:
    """A filler itself says nothing of a file that is cut off or written to."""
    source = KINDS[kind](file)
    fill = source.filler(0, len(DATA))
    file.write_bytes(DATA[:100])
    if kind == "reopened":  # which looks at the file each time
        source.check()
        with pytest.raises(FormatError, match="changed"):
            fill(0, memoryview(bytearray(200)))
        return
    fill(0, memoryview(bytearray(200)))
    with pytest.raises(FormatError, match="changed"):
        source.check()


@pytest.mark.parametrize("kind", ["mapped", "streaming", "reopened"])
def test_nothing_is_filled_from_a_closed_file(kind: str, file: Path) -> None:
    source = KINDS[kind](file)
    fill = source.filler(0, len(DATA))
    source.close()
    with pytest.raises(FormatError, match="closed"):
        fill(0, memoryview(bytearray(10)))


def test_a_file_that_is_opened_anew_must_have_its_size(file: Path) -> None:
    source = open_file(file, held=False)
    os.truncate(file, 5000)
    with pytest.raises(FormatError, match="the file changed from 10000 to 5000 bytes"):
        source.view(0, 1)


def test_an_empty_file_has_no_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert bytes(open_file(path).view(0, 0)) == open_file(path).head(10) == b""


def test_a_source_closes_those_it_adopted(file: Path) -> None:
    one, other = open_file(file), open_file(file)
    one.adopt(other)
    one.close()
    with pytest.raises(FormatError):
        other.read(0, 1)


def test_handles_are_given_back_by_those_who_forget(file: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(50):
        open_file(file).view(0, 1)
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1
    backing = FileBacking(file)
    reopened = ReopenedBacking(file, backing.identity)
    assert bytes(reopened.view(0, 3)) == backing.read(0, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "there is no such file"),
        (".", "it is not a regular file"),
        ("a\0b", "check the path"),
    ],
)
def test_what_is_not_a_file_is_refused_by_name(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        open_file(tmp_path / path)


def test_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="it is not a regular file"):
        open_file(tmp_path / "pipe")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "inside" / "sub").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(b"secret")
    (tmp_path / "inside" / "b.bin").write_bytes(b"bb")
    (tmp_path / "inside" / "sub" / "c.bin").write_bytes(b"ccc")
    (tmp_path / "inside" / "cached.bin").symlink_to(tmp_path / "inside" / "b.bin")
    (tmp_path / "inside" / "away").symlink_to(tmp_path)
    return Folder(tmp_path / "inside")


def test_a_folder_opens_its_files_once(folder: Folder) -> None:
    assert folder.names() == ["b.bin", "cached.bin"]
    assert (folder.has("b.bin"), folder.has("sub"), folder.has("absent")) == (True, False, False)
    assert (folder.size("b.bin"), folder.size("absent")) == (2, 0)
    assert folder.member("b.bin") is folder.member("b.bin")
    assert folder.member("sub/c.bin").head(9) == b"ccc"
    assert folder.member("cached.bin").head(9) == b"bb"
    folder.close()
    with pytest.raises(FormatError):
        folder.member("b.bin").read(0, 1)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.bin",
        "/etc/passwd",
        "sub/../../outside.bin",
        "",
        "..\\x",
        "a\0b",
        "away/outside.bin",
    ],
)
def test_a_folder_never_leads_outside(folder: Folder, name: str) -> None:
    with pytest.raises(FormatError, match=r"; do not use it"):
        folder.member(name)


def test_a_name_too_long_for_the_file_system_is_not_a_file(folder: Folder) -> None:
    assert not folder.has("x" * 5000)
    with pytest.raises(FormatError):
        folder.member("x" * 5000)


def test_a_folder_may_keep_no_handles(folder: Folder) -> None:
    member = folder.member("b.bin", held=False)
    assert not member.mapped
    assert member.read(0, 2) == b"bb"
    assert str(Folder(folder.path, "model.index.json")).endswith("inside/model.index.json")


def test_a_closed_folder_opens_no_more_members(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"abc")
    folder = Folder(tmp_path)
    folder.close()
    with pytest.raises(FormatError, match="closed; open it again"):
        folder.member("w")

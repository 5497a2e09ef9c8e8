from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.encodings.zip_archive import ZipArchive, zip_names
from caten_sd.errors import FormatError
from caten_sd.state.source import open_file
from tests.encodings.zips import BODY, GOOD, TWO, central, deflated, patched, source_of, zip_of


def unseekable(*members: tuple[str, bytes]) -> bytes:
    """As a stream writes it: sizes and checksum only after each member's data."""

    class Stream(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, part: bytes) -> int:  # type: ignore[override]
            Stream.data += bytes(part)
            return len(part)

    with zipfile.ZipFile(Stream(), "w") as writer:
        for name, data in members:
            writer.writestr(name, data)
    return Stream.data


@given(
    st.dictionaries(st.text("abc/é", min_size=1, max_size=9), st.binary(max_size=60), max_size=5),
    st.sampled_from([zip_of, deflated, unseekable]),
)
def test_every_member_is_what_zipfile_wrote(members: dict[str, bytes], make: object) -> None:
    assert callable(make)
    members = {f"x{name}x": data for name, data in members.items()}
    archive = ZipArchive(source_of(make(*members.items())))
    assert archive.names() == list(members)
    for name, data in members.items():
        member = archive.member(name)
        assert (member.size, member.read(0, member.size)) == (len(data), data)
        assert archive.read(name, limit=100) == data
        assert name in archive


def test_sizes_in_64_bit_fields() -> None:
    data = zip_of(("w", BODY), force_zip64=True)
    assert ZipArchive(source_of(data)).member("w").read(0, len(BODY)) == BODY


def test_a_stored_member_is_a_window_of_the_map(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(("w", BODY)))
    source = open_file(path)
    view = ZipArchive(source).member("w").view(5, 5)
    assert bytes(view) == b"bytes"
    assert view.obj.__class__.__name__ == "mmap"
    source.close()


def test_folders_are_not_listed() -> None:
    assert ZipArchive(source_of(zip_of(("d/", b""), ("d/w", BODY)))).names() == ["d/w"]


def test_a_packed_member_is_inflated_when_touched_and_forgotten_after_its_end() -> None:
    member = ZipArchive(source_of(deflated(("w", BODY * 100)))).member("w")
    backing: Any = member._backing
    assert backing._data is None
    view = member.view(0, 9)
    assert backing._data is not None
    assert member.read(9, member.size - 9) == (BODY * 100)[9:]
    assert backing._data is None
    assert bytes(view) == BODY[:9]
    assert member.read(5, 5) == b"bytes"
    member.close()
    assert backing._data is None


def test_a_large_deflated_member_is_read_completely() -> None:
    data = bytes(range(256)) * 20_000
    assert ZipArchive(source_of(deflated(("w", data)))).member("w").read(0, len(data)) == data


def test_an_absent_member_is_named() -> None:
    with pytest.raises(FormatError, match="no member 'v'"):
        ZipArchive(source_of(zip_of(("w", BODY)))).member("v")


def test_a_read_has_a_limit() -> None:
    with pytest.raises(FormatError, match=r"34 bytes, .*limit of 33"):
        ZipArchive(source_of(zip_of(("w", BODY)))).read("w", limit=33)


# Each breaks one rule; the words are what the refusal must say.
HOSTILE_MEMBERS = {
    "encrypted": (central(GOOD, 8, b"\1\0"), "encrypted"),
    "method": (central(GOOD, 10, b"\x63\0"), "method 99"),
    "link": (central(central(GOOD, 5, b"\3"), 38, b"\0\0\xff\xa1"), "is a link"),
    "no header": (patched(GOOD, b"PK\3\4", 0, b"PK\3\5"), "contradict"),
    "other name": (GOOD.replace(b"w", b"v", 1), "contradict"),
    "other size": (patched(GOOD, b"PK\3\4", 18, b"\1\0\0\0"), "contradict"),
    "other checksum": (patched(GOOD, b"PK\3\4", 14, b"\1\0\0\0"), "contradict"),
    "other method": (patched(GOOD, b"PK\3\4", 8, b"\x08\0"), "contradict"),
    "other flags": (patched(GOOD, b"PK\3\4", 6, b"\x08\0"), "contradict"),
    "long extra": (patched(GOOD, b"PK\3\4", 28, b"\x10\0"), "runs into what comes after"),
    "damaged": (GOOD.replace(b"some", b"same", 1), "checksum"),
    "damaged stream": (deflated(("w", BODY)).replace(b"w\x2b", b"w\xff", 1), "cannot be inflated"),
    "unfolds too far": (deflated(("w", BODY * 99)), "inflate to the 34 bytes"),
    "unfolds too little": (deflated(("w", BODY[:20])), "inflate to the 34 bytes"),
    "packed checksum": (deflated(("w", BODY)), "checksum"),
}


@pytest.mark.parametrize("case", HOSTILE_MEMBERS)
def test_a_member_that_contradicts_the_directory_is_refused(case: str) -> None:
    data, words = HOSTILE_MEMBERS[case]
    if "unfolds" in case:
        for magic, at in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
            data = patched(data, magic, at, struct.pack("<I", len(BODY)))
    if case == "packed checksum":
        for magic, at in ((b"PK\1\2", 16), (b"PK\3\4", 14)):
            data = patched(data, magic, at, b"\1\2\3\4")
    with pytest.raises(FormatError, match=words):
        ZipArchive(source_of(data)).read("w", limit=10**6)


@given(st.integers(0, len(TWO) - 1), st.integers(0, 255))
def test_one_changed_byte_never_escapes_the_librarys_own_error(at: int, byte: int) -> None:
    data = TWO[:at] + bytes([byte]) + TWO[at + 1 :]
    try:
        archive = ZipArchive(source_of(data))
        for name in archive.names():
            archive.read(name, limit=100)
    except FormatError:
        pass


@given(st.binary(max_size=80), st.integers(0, len(GOOD)))
def test_garbage_never_escapes_the_librarys_own_error(junk: bytes, at: int) -> None:
    with pytest.raises(FormatError):
        ZipArchive(source_of(GOOD[:at] + junk + b"\1"))


def test_what_the_names_were_parsed_from_is_kept_for_the_reader_alone() -> None:
    source = source_of(GOOD)
    names = zip_names(source)
    kept = source.parsed
    assert zip_names(source) == names
    assert source.parsed is kept
    archive = ZipArchive.of(source)
    assert archive is kept
    assert archive.names() == names
    assert source.parsed is None
    assert ZipArchive.of(source) is not kept


def test_what_is_not_a_zip_has_no_names() -> None:
    source = source_of(b"text")
    assert zip_names(source) == []
    assert source.parsed is None

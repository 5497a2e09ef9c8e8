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
from caten_sd.state.backing import BytesBacking
from caten_sd.state.source import Source, open_file

BODY = b"some bytes, some bytes, some bytes"


def source_of(data: bytes) -> Source:
    return Source("a.zip", BytesBacking(data), 0, len(data))


def zip_of(*members: tuple[str, bytes], force_zip64: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        for name, data in members:
            with writer.open(zipfile.ZipInfo(name), "w", force_zip64=force_zip64) as member:
                member.write(data)
    return file.getvalue()


def deflated(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, data in members:
            writer.writestr(name, data)
    return file.getvalue()


def patched(data: bytes, magic: bytes, at: int, new: bytes) -> bytes:
    start = data.index(magic) + at
    return data[:start] + new + data[start + len(new) :]


def central(data: bytes, at: int, new: bytes) -> bytes:
    return patched(data, b"PK\1\2", at, new)


def end_record(data: bytes, at: int, new: bytes) -> bytes:
    return patched(data, b"PK\5\6", at, new)


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


GOOD = zip_of(("w", BODY))
TWO = zip_of(("one", BODY), ("two", BODY))
TWICE = TWO.replace(b"one", b"two")
DIRECTORY_AT = GOOD.index(b"PK\1\2")


def as_64_bit(data: bytes, offset: int, count: int) -> bytes:
    """Put a 64-bit end record and its locator before the end record, as writers do."""
    at = data.index(b"PK\5\6")
    size = at - data.index(b"PK\1\2")
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return data[:at] + end64 + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + data[at:]


def test_a_64_bit_end_record() -> None:
    archive = ZipArchive(source_of(as_64_bit(GOOD, DIRECTORY_AT, 1)))
    assert archive.member("w").read(0, 4) == b"some"


# Each breaks one rule; the words are what the refusal must say.
HOSTILE = {
    "empty": (b"", "no zip end record"),
    "truncated": (GOOD[:-1], "no zip end record"),
    "no directory": (GOOD[:DIRECTORY_AT], "no zip end record"),
    "bytes after it": (GOOD + b"junk", "no zip end record"),
    "bytes before it": (b"junk" + GOOD, "does not reach its end record"),
    "two ends": (GOOD[:-2] + struct.pack("<H", 22) + GOOD[-22:], "two zip end records"),
    "split": (end_record(GOOD, 4, b"\1\0"), "split zip"),
    "directory beyond the end": (end_record(GOOD, 16, b"\xf0\xff\xff\xff"), "does not reach"),
    "directory too long": (end_record(GOOD, 12, b"\xff\xff\xff\x7f"), "does not reach"),
    "count": (end_record(GOOD, 8, b"\2\0\2\0"), "counts 2 members, its directory has 1"),
    "64-bit count": (as_64_bit(GOOD, DIRECTORY_AT, 2), "give 1 and 2 as the directory's members"),
    "64-bit offset": (as_64_bit(GOOD, 2**63, 1), "give .* as the directory's offset"),
    "no 64-bit end": (
        as_64_bit(GOOD, DIRECTORY_AT, 1).replace(b"PK\6\6", b"PK\6\5"),
        "64-bit zip end record is malformed",
    ),
    "64-bit end past itself": (
        patched(as_64_bit(GOOD, DIRECTORY_AT, 1), b"PK\6\7", 8, struct.pack("<Q", 2**60)),
        f"64-bit zip end record at {2**60}",
    ),
    "duplicate": (TWICE, "two members named 'two'"),
    "broken entry": (central(GOOD, 0, b"PK\1\3"), "directory .*at byte 0"),
    "name too long": (central(GOOD, 28, b"\xff\xff"), "ends inside a name"),
    "overlap": (TWO[: TWO.rindex(b"PK\5\6") - 7] + b"\0\0\0\0two" + TWO[-22:], "overlaps another"),
    "runs into the directory": (
        central(central(GOOD, 20, b"\xff\0\0\0"), 24, b"\xff\0\0\0"),
        "overlaps the directory",
    ),
    "no 64-bit size": (central(GOOD, 24, b"\xff\xff\xff\xff"), "lacks its 64-bit sizes"),
    "4 GB": (central(GOOD, 20, b"\xf0\xff\xff\xff" * 2), "overlaps the directory"),
    "stored in fewer bytes": (central(GOOD, 24, b"\xff\xff\0\0"), "in 34 bytes.*65535"),
    "not UTF-8": (zip_of(("wé", BODY)).replace("é".encode(), b"\xff\xff"), "not UTF-8"),
    "up": (zip_of(("a/../../w", BODY)), "leads out"),
    "absolute": (zip_of(("/w", BODY)), "leads out"),
    "drive": (zip_of(("C:/w", BODY)), "leads out"),
    "backslash": (zip_of(("a\\w", BODY)).replace(b"a/w", b"a\\w"), "leads out"),
    "NUL": (zip_of(("awb", BODY)).replace(b"awb", b"a\0b"), "leads out"),
}

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


@pytest.mark.parametrize("case", HOSTILE)
def test_a_directory_that_contradicts_itself_is_refused(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(FormatError, match=words) as caught:
        ZipArchive(source_of(data))
    assert str(caught.value).startswith("a.zip: ")


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

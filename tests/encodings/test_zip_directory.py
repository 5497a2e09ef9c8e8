from __future__ import annotations

import struct

import pytest

from caten_sd.encodings.zip_directory import is_unsafe, read_entries
from caten_sd.errors import FormatError
from tests.encodings.zips import BODY, GOOD, TWO, central, end_record, patched, source_of, zip_of

TWICE = TWO.replace(b"one", b"two")
DIRECTORY_AT = GOOD.index(b"PK\1\2")


def test_entries_give_sizes_offsets_and_where_the_next_header_begins() -> None:
    entries = read_entries(source_of(TWO))
    assert entries.names == ["one", "two"]
    one, two = map(entries.at, range(len(entries)))
    assert (one.name, two.name) == ("one", "two")
    assert (one.size, one.packed, one.offset) == (len(BODY), len(BODY), 0)
    assert (one.limit, two.limit) == (two.offset, TWO.index(b"PK\1\2"))
    assert [entries.position(name) for name in ("one", "two", "three")] == [0, 1, None]


def as_64_bit(data: bytes, offset: int, count: int) -> bytes:
    """Put a 64-bit end record and its locator before the end record, as writers do."""
    at = data.index(b"PK\5\6")
    size = at - data.index(b"PK\1\2")
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return data[:at] + end64 + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + data[at:]


def test_a_64_bit_end_record() -> None:
    entries = read_entries(source_of(as_64_bit(GOOD, DIRECTORY_AT, 1)))
    assert entries.at(0).size == len(BODY)


def backwards(data: bytes) -> bytes:
    """Return a file of two members whose directory lists the second one first."""
    start, middle, end = data.index(b"PK\1\2"), data.rindex(b"PK\1\2"), data.index(b"PK\5\6")
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def test_a_directory_need_not_be_in_the_order_of_the_members() -> None:
    entries = read_entries(source_of(backwards(TWO)))
    found = [entries.at(position) for position in range(len(entries))]
    assert [(each.name, each.limit) for each in found] == [
        ("two", TWO.index(b"PK\1\2")),
        ("one", found[0].offset),
    ]


@pytest.mark.parametrize("other", ["é", "a..b", "c:/d", "x/y"])
def test_names_are_the_same_whatever_their_neighbors_are(other: str) -> None:
    names = ["w", other.replace("c:/", "cc:/"), "v"]
    assert read_entries(source_of(zip_of(*((name, BODY) for name in names)))).names == names


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
    "overlap, listed backwards": (
        backwards(TWO[: TWO.rindex(b"PK\5\6") - 7] + b"\0\0\0\0two" + TWO[-22:]),
        "overlaps another",
    ),
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


@pytest.mark.parametrize("case", HOSTILE)
def test_a_directory_that_contradicts_itself_is_refused(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(FormatError, match=words) as caught:
        read_entries(source_of(data))
    assert str(caught.value).startswith("a.zip: ")


@pytest.mark.parametrize("name", ["", "/w", "a\\w", "a\0b", "C:/w", "..", "a/../w", "../w"])
def test_a_name_that_could_lead_out_of_its_folder_is_unsafe(name: str) -> None:
    assert is_unsafe(name)


@pytest.mark.parametrize("name", ["w", "a/b.c", "..w", "a..b/c", "a/", "é"])
def test_any_other_name_is_safe(name: str) -> None:
    assert not is_unsafe(name)

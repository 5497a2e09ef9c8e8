"""Read a zip file's directory, and check it for contradictions before any member is opened.

Layout: PKWARE's APPNOTE 6.3.10. Python's zipfile accepts duplicates, overlaps and a directory that
the members' own headers contradict.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from caten_sd.errors import FormatError
from caten_sd.state.source import Source

STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIPTOR, UTF8 = 0x0001, 0x0008, 0x0800
DAMAGED = "it is truncated, damaged or made to deceive, so get it again"

END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
CENTRAL = struct.Struct("<4s6H3I5H2I")
LOCAL = struct.Struct("<4s5H3I2H")

FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF


class ZipEntry(NamedTuple):
    """A member's entry in the directory: sizes in bytes, and the ``offset`` of its own header."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    link: bool


class Directory(NamedTuple):
    """Where the directory is, and how many members the end record gives it."""

    offset: int
    size: int
    members: int


def find_directory(source: Source) -> Directory:
    """Return where the directory is; FormatError if the end records are absent or disagree."""
    at, record = _find_end(source)
    _, disk, first_disk, here, count, size, offset, _ = record
    found = Directory(offset, size, count)
    if disk not in (0, FULL16) or first_disk not in (0, FULL16) or here != count:
        raise FormatError(source.name, "it is one part of a split zip file", "join the parts first")
    end = at
    if at >= LOCATOR.size and source.read(at - LOCATOR.size, 4) == b"PK\6\7":
        end, found = _end64(source, at - LOCATOR.size, found)
    if found.offset + found.size != end:
        raise FormatError(
            source.name,
            f"its zip directory of {found.size} bytes at {found.offset} does not reach its end "
            f"record at {end}",
            DAMAGED,
        )
    return found


def read_entries(source: Source) -> tuple[dict[str, ZipEntry], dict[int, int]]:
    """Return the entries by name, and for each header's offset the offset of what comes next.

    FormatError for a duplicate, an overlap or a name that leads out of a folder.
    """
    directory = find_directory(source)
    table = source.read(directory.offset, directory.size)
    entries: dict[str, ZipEntry] = {}
    for entry in _entries(source.name, table):
        if entry.name in entries:
            raise FormatError(source.name, f"it has two members named {entry.name!r}", DAMAGED)
        entries[entry.name] = entry
    if len(entries) != directory.members:
        raise FormatError(
            source.name,
            f"its end record counts {directory.members} members, its directory has {len(entries)}",
            DAMAGED,
        )
    return entries, _limits(source.name, entries, directory.offset)


def _find_end(source: Source) -> tuple[int, tuple[int, ...]]:
    tail_size = min(source.size, END.size + FULL16)
    tail = source.read(source.size - tail_size, tail_size)
    found = []
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + END.size <= tail_size:
            record = END.unpack_from(tail, at)
            if at + END.size + record[-1] == tail_size:
                found.append((source.size - tail_size + at, record))
        at = tail.rfind(b"PK\5\6", 0, at)
    if not found:
        raise FormatError(source.name, "it has no zip end record", DAMAGED)
    if len(found) > 1:
        raise FormatError(source.name, "it has two zip end records, one inside the other", DAMAGED)
    return found[0]


def _end64(source: Source, locator_at: int, short: Directory) -> tuple[int, Directory]:
    """Return the 64-bit end record's offset and directory, checked against the 32-bit one."""
    _, _, at, _ = LOCATOR.unpack(source.read(locator_at, LOCATOR.size))
    if at + END64.size > locator_at:
        problem = f"its 64-bit zip end record at {at} overlaps its locator at {locator_at}"
        raise FormatError(source.name, problem, DAMAGED)
    magic, length, _, _, _, _, here, count, size, offset = END64.unpack(source.read(at, END64.size))
    if magic != b"PK\6\6" or at + 12 + length != locator_at or here != count:
        raise FormatError(source.name, "its 64-bit zip end record is malformed", DAMAGED)
    long = Directory(offset, size, count)
    for name, full in (("offset", FULL32), ("size", FULL32), ("members", FULL16)):
        ours, theirs = getattr(short, name), getattr(long, name)
        if ours not in (theirs, full):
            raise FormatError(
                source.name,
                f"its two zip end records give {ours} and {theirs} as the directory's {name}",
                DAMAGED,
            )
    return at, long


def _entries(source_name: str, table: bytes) -> Iterator[ZipEntry]:
    at, end = 0, len(table)
    while at < end:
        if at + CENTRAL.size > end or table[at : at + 4] != b"PK\1\2":
            raise FormatError(source_name, f"its zip directory is malformed at byte {at}", DAMAGED)
        # fmt: off
        (_, made_by, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size,
         _, _, mode, offset) = CENTRAL.unpack_from(table, at)
        # fmt: on
        name_end = at + CENTRAL.size + name_size
        extra_end = name_end + extra_size
        raw = table[at + CENTRAL.size : name_end]
        at = extra_end + comment_size
        if at > end:
            raise FormatError(source_name, "its zip directory ends inside a name", DAMAGED)
        name = _name(source_name, raw, flags)
        if FULL32 in (packed, size, offset):
            extra = table[name_end:extra_end]
            size, packed, offset = _long_sizes(source_name, name, extra, size, packed, offset)
        link = made_by >> 8 == 3 and (mode >> 28) == 0xA
        yield ZipEntry(name, raw, flags, method, crc, packed, size, offset, link)


def _name(source_name: str, raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & UTF8 or raw.isascii() else "cp437")
    except UnicodeDecodeError:
        raise FormatError(source_name, f"its member {raw!r} has a name that is not UTF-8") from None
    if is_unsafe(name):
        raise FormatError(
            source_name, f"its member {name!r} leads out of its folder", "do not use it"
        )
    return name


def is_unsafe(name: str) -> bool:
    """Return whether a member's name could lead out of its folder."""
    odd = not name or name[0] == "/" or "\\" in name or "\0" in name or name[1:3] == ":/"
    return odd or (".." in name and ".." in name.split("/"))


def _long_sizes(source_name: str, name: str, extra: bytes, *short: int) -> tuple[int, int, int]:
    """Return size, packed size and offset, from the 64-bit field if the 32-bit ones are full."""
    field = long_field(extra)
    wanted = [value == FULL32 for value in short]
    if len(field) < 8 * sum(wanted):
        raise FormatError(source_name, f"its member {name!r} lacks its 64-bit sizes", DAMAGED)
    longs = iter(struct.unpack_from(f"<{sum(wanted)}Q", field))
    size, packed, offset = (
        next(longs) if full else value for full, value in zip(wanted, short, strict=True)
    )
    return size, packed, offset


def long_field(extra: bytes) -> bytes:
    """Return the 64-bit sizes among a header's extra fields; empty if there are none."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def _limits(source_name: str, entries: dict[str, ZipEntry], end: int) -> dict[int, int]:
    limit, limits = end, {}
    for entry in sorted(entries.values(), key=attrgetter("offset"), reverse=True):
        offset, packed = entry.offset, entry.packed
        if offset + LOCAL.size + len(entry.raw_name) + packed > limit:
            what = "the directory" if limit == end else "another member"
            raise FormatError(source_name, f"its member {entry.name!r} overlaps {what}", DAMAGED)
        if packed != entry.size and entry.method == STORED:
            raise FormatError(
                source_name,
                f"its member {entry.name!r} is stored uncompressed in {packed} bytes, yet its size "
                f"is {entry.size}",
                DAMAGED,
            )
        limits[offset] = limit
        limit = offset
    return limits

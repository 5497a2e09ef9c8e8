"""Read a zip file's directory, and check it for contradictions before any member is opened.

Layout: PKWARE's APPNOTE 6.3.10. Python's zipfile accepts duplicates, overlaps and a directory that
the members' own headers contradict.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from itertools import compress
from operator import gt
from typing import NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.state.columns import are_distinct, successors
from caten_sd.state.source import Source

STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIPTOR, UTF8 = 0x0001, 0x0008, 0x0800
DAMAGED = "it is truncated, damaged or made to deceive, so get it again"

END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
CENTRAL = struct.Struct("<4s6H3I5H2I")
LOCAL = struct.Struct("<4s5H3I2H")
_PLACE = struct.Struct("<4s4x2H8x2I3H8xI")  # of CENTRAL, what is compared between members

FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF


class ZipEntry(NamedTuple):
    """A member's entry in the directory: sizes in bytes, and the ``offset`` of its own header.

    ``limit`` is the offset of what comes after the member.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    limit: int
    link: bool


class ZipEntries:
    """The entries of a directory, each made when it is asked for: a file may have a million.

    ``names`` are those of the members in the order of the directory.
    """

    def __init__(self, source_name: str, table: bytes, places: _Places) -> None:
        self._source_name, self._table, self._places = source_name, table, places
        self.names = _names(source_name, places.raw_names, table, places.records)
        self._limits = array("q")
        self._positions: dict[str, int] | None = None

    def check(self, end: int) -> None:
        """Raise FormatError for a duplicate or an overlap; the directory begins at ``end``."""
        if not are_distinct(self.names):
            ((name, _),) = Counter(self.names).most_common(1)
            raise FormatError(self._source_name, f"it has two members named {name!r}", DAMAGED)
        self._limits = successors(self._places.offsets, end)
        overlaps = map(gt, self._places.ends, self._limits)
        if over := list(compress(self.names, overlaps)):
            raise FormatError(
                self._source_name, f"its member {over[0]!r} overlaps another member", DAMAGED
            )

    def __len__(self) -> int:
        return len(self.names)

    def position(self, name: str) -> int | None:
        """Return the position of a name in the directory; None if no member has it."""
        if self._positions is None:
            self._positions = dict(zip(self.names, range(len(self)), strict=True))
        return self._positions.get(name)

    def at(self, position: int) -> ZipEntry:
        """Return the entry at a position of the directory."""
        table, at, name = self._table, self._places.records[position], self.names[position]
        # fmt: off
        (_, made_by, _, flags, method, _, _, crc, packed, size, name_size, extra_size, _,
         _, _, mode, offset) = CENTRAL.unpack_from(table, at)
        # fmt: on
        at += CENTRAL.size
        raw = table[at : at + name_size]
        if packed == FULL32 or size == FULL32 or offset == FULL32:
            extra = table[at + name_size : at + name_size + extra_size]
            size, packed, offset = _long_sizes(self._source_name, name, extra, size, packed, offset)
        link = made_by >> 8 == 3 and mode >> 28 == 0xA
        limit = self._limits[position]
        return ZipEntry(name, raw, flags, method, crc, packed, size, offset, limit, link)


class _Places:
    """Where each entry is in the table of the directory, and its member in the file."""

    def __init__(self) -> None:
        self.records, self.offsets, self.ends = array("q"), array("q"), array("q")
        self.raw_names: list[bytes] = []


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


def read_entries(source: Source) -> ZipEntries:
    """Return the entries of the directory.

    FormatError for a duplicate, an overlap or a name that leads out of a folder.
    """
    directory = find_directory(source)
    table = source.read(directory.offset, directory.size)
    entries = ZipEntries(source.name, table, _places(source.name, table, directory.offset))
    entries.check(directory.offset)
    if len(entries) != directory.members:
        raise FormatError(
            source.name,
            f"its end record counts {directory.members} members, its directory has {len(entries)}",
            DAMAGED,
        )
    return entries


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


def _places(source_name: str, table: bytes, limit: int) -> _Places:
    """Return the places of all members; FormatError for one that ends behind ``limit``."""
    places, at, end = _Places(), 0, len(table)
    add_record, add_name = places.records.append, places.raw_names.append
    add_offset, add_end = places.offsets.append, places.ends.append
    while at < end:
        if at + CENTRAL.size > end or table[at : at + 4] != b"PK\1\2":
            raise FormatError(source_name, f"its zip directory is malformed at byte {at}", DAMAGED)
        # fmt: off
        (_, flags, method, packed, size, name_size, extra_size, comment_size, offset
         ) = _PLACE.unpack_from(table, at)
        # fmt: on
        add_record(at)
        name_end = at + CENTRAL.size + name_size
        raw = table[at + CENTRAL.size : name_end]
        at = name_end + extra_size + comment_size
        if at > end:
            raise FormatError(source_name, "its zip directory ends inside a name", DAMAGED)
        if packed == FULL32 or size == FULL32 or offset == FULL32:
            extra, name = table[name_end : name_end + extra_size], _name(source_name, raw, flags)
            size, packed, offset = _long_sizes(source_name, name, extra, size, packed, offset)
        member_end = offset + LOCAL.size + name_size + packed
        if member_end > limit or (packed != size and method == STORED):
            _refuse_place(
                source_name, _name(source_name, raw, flags), packed, size, member_end > limit
            )
        add_name(raw)
        add_offset(offset)
        add_end(member_end)
    return places


def _refuse_place(source_name: str, name: str, packed: int, size: int, overlaps: bool) -> NoReturn:
    if overlaps:
        raise FormatError(source_name, f"its member {name!r} overlaps the directory", DAMAGED)
    raise FormatError(
        source_name,
        f"its member {name!r} is stored uncompressed in {packed} bytes, yet its size is {size}",
        DAMAGED,
    )


def _names(
    source_name: str, raw_names: list[bytes], table: bytes, records: array[int]
) -> list[str]:
    """Return the names as text; those of most files are of ASCII, and safe, all at once."""
    joined = b"\0".join(raw_names)
    if joined.isascii() and not any(part in b"\0%b\0" % joined for part in _SUSPECT):
        names = joined.decode().split("\0")
        if len(names) == len(raw_names):
            return names
    flags = (struct.unpack_from("<H", table, at + 8)[0] for at in records)
    return [_name(source_name, *each) for each in zip(raw_names, flags, strict=True)]


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


_SUSPECT = (b"\0\0", b"\0/", b"\\", b":/", b"..")  # of a name between two NULs; see is_unsafe


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

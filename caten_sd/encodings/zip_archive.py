"""Read a zip file's members in place: stored ones are mapped, deflated ones inflated on demand.

A deflated member is inflated when it is first read, and never beyond its size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from caten_sd.encodings.zip_directory import (
    DAMAGED,
    DEFLATED,
    DESCRIPTOR,
    ENCRYPTED,
    FULL32,
    LOCAL,
    STORED,
    ZipEntries,
    ZipEntry,
    long_field,
    read_entries,
)
from caten_sd.errors import FormatError
from caten_sd.state.read_ahead import ReadAhead
from caten_sd.state.source import Source

_STEP = 1 << 20
_HEAD = 1 << 13


class ZipArchive:
    """The members of a zip file; FormatError if its directory is not well-formed.

    >>> import io, zipfile
    >>> from caten_sd.state.backing import BytesBacking
    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w") as writer:
    ...     writer.writestr("a.txt", "text")
    >>> archive = ZipArchive(Source("a.zip", BytesBacking(file.getvalue()), 0, file.tell()))
    >>> archive.names(), archive.member("a.txt").read(0, 4)
    (['a.txt'], b'text')
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.heads = ReadAhead(source)  # the members' headers, in the order of the file
        self.entries: ZipEntries = read_entries(source)
        self._files = [name for name in self.entries.names if name[-1] != "/"]

    @classmethod
    def of(cls, source: Source) -> ZipArchive:
        """Return the archive that ``zip_names`` left with the source, or open it."""
        parsed, source.parsed = source.parsed, None
        return parsed if isinstance(parsed, cls) else cls(source)

    def names(self) -> list[str]:
        """Return the members' names in the order of the directory, without folders."""
        return self._files

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.entries.position(name) is not None

    def entry(self, name: str) -> ZipEntry:
        """Return a member's entry in the directory; FormatError if it has none of that name."""
        position = self.entries.position(name)
        if position is None:
            raise FormatError(self.source.name, f"it has no member {name!r}", DAMAGED)
        return self.entries.at(position)

    def member(self, name: str) -> Source:
        """Return a member's bytes: a window of the file, or inflated on the first read."""
        return self.member_of(self.entry(name))

    def member_of(self, entry: ZipEntry) -> Source:
        """Return the bytes of the member of an entry."""
        packed = self._packed(entry)
        if entry.method == STORED:
            return packed
        return Source(packed.name, InflatedBacking(packed, entry), 0, entry.size)

    def inflated(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a deflated member; its size and checksum are verified at the end."""
        entry = self.entry(name)
        return _inflated(self._packed(entry), entry)

    def _packed(self, entry: ZipEntry) -> Source:
        return self.window(entry, self.data_start(entry))

    def window(self, entry: ZipEntry, start: int) -> Source:
        """Return the stored bytes of a member, which begin at ``start``."""
        return self.source.window(start, entry.packed, f"{self.source.name}:{entry.name}")

    def read(self, name: str, *, limit: int) -> bytes:
        """Return all bytes of a member, at most ``limit``, its checksum verified."""
        entry = self.entry(name)
        if entry.size > limit:
            raise FormatError(
                self.source.name,
                f"its member {name!r} has {entry.size} bytes, over the limit of {limit}",
            )
        data = self.member_of(entry).read(0, entry.size)
        if entry.method == STORED:
            self._compare(entry, zlib.crc32(data))
        return data

    def check(self, name: str) -> None:
        """Read all of a member; FormatError if it does not match its checksum."""
        entry, crc = self.entry(name), 0
        if entry.method == DEFLATED:
            for _ in self.inflated(name):  # which compares it at the end
                pass
            return
        member = self.member_of(entry)
        for start in range(0, member.size, _STEP):
            crc = zlib.crc32(member.read(start, min(_STEP, member.size - start)), crc)
        self._compare(entry, crc)

    def _compare(self, entry: ZipEntry, crc: int) -> None:
        if crc != entry.crc:
            problem = f"its member {entry.name!r} does not match its checksum"
            raise FormatError(self.source.name, problem, DAMAGED)

    def data_start(self, entry: ZipEntry) -> int:
        """Return where a member's bytes begin; FormatError if its header contradicts its entry."""
        name = self.source.name
        if entry.flags & ENCRYPTED:
            raise FormatError(name, f"its member {entry.name!r} is encrypted", "decrypt it first")
        if entry.link:
            raise FormatError(name, f"its member {entry.name!r} is a link", "do not use it")
        if entry.method not in (STORED, DEFLATED):
            raise FormatError(
                name,
                f"its member {entry.name!r} is compressed by method {entry.method}",
                "write it stored or deflated",
            )
        header = self.heads.read(entry.offset, LOCAL.size + len(entry.raw_name))
        extra_size = _check_local(name, entry, header, self.heads)
        start = entry.offset + len(header) + extra_size
        if start + entry.packed > entry.limit:
            raise FormatError(
                name, f"its member {entry.name!r} runs into what comes after it", DAMAGED
            )
        return start


def zip_names(source: Source) -> list[str]:
    """Return the names in a zip file, none if it is not one; keep what was parsed for a reader."""
    try:
        source.parsed = archive = ZipArchive.of(source)
    except FormatError:
        return []
    return archive.names()


def _check_local(name: str, entry: ZipEntry, header: bytes, heads: ReadAhead) -> int:
    """Return the size of the extra fields; FormatError where the two headers disagree."""
    # fmt: off
    (magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size
     ) = LOCAL.unpack_from(header)
    # fmt: on
    same = (
        magic == b"PK\3\4"
        and name_size == len(entry.raw_name)
        and header[LOCAL.size :] == entry.raw_name
        and (flags ^ entry.flags) & (ENCRYPTED | DESCRIPTOR) == 0
        and method == entry.method
    )
    if packed == FULL32 or size == FULL32:
        extra = heads.read(entry.offset + len(header), extra_size)
        size, packed = _long_pair(long_field(extra), size, packed)
    agree = crc == entry.crc and packed == entry.packed and size == entry.size
    if not agree and flags & DESCRIPTOR:
        # A header before the data may be zero where a descriptor follows the data.
        agree = crc == 0 and (packed, size) in ((0, 0), (entry.packed, entry.size))
    if not same or not agree:
        raise FormatError(
            name,
            f"the header of its member {entry.name!r} contradicts its directory",
            DAMAGED,
        )
    return int(extra_size)


def _long_pair(field: bytes, size: int, packed: int) -> tuple[int, int]:
    """Return size and packed size, from the 64-bit field if the 32-bit ones are full."""
    longs = [int.from_bytes(field[at : at + 8], "little") for at in range(0, len(field) - 7, 8)]
    if size == FULL32 and longs:
        size = longs.pop(0)
    if packed == FULL32 and longs:
        packed = longs.pop(0)
    return size, packed


class InflatedBacking:
    """A deflated member as a backing; the first access inflates all of it and checks it.

    An access that reaches the member's end releases the bytes, so that streaming a file holds one
    tensor in memory; a later access inflates again. A read near the start inflates only the start,
    so that a look at each header leaves the members packed.
    """

    mapped = False

    def __init__(self, packed: Source, entry: ZipEntry) -> None:
        self._packed, self._entry = packed, entry
        self._data: memoryview | None = None
        self._head = b""

    def __reduce__(self) -> tuple[Any, ...]:
        return InflatedBacking, (self._packed, self._entry)

    def view(self, start: int, count: int) -> memoryview:
        """Return the bytes, in memory."""
        data = self._data
        if data is None:
            data = memoryview(_inflate(self._packed, self._entry))
        self._data = None if start + count == self._entry.size else data
        return data[start : start + count]

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes."""
        if self._data is None and start + count <= min(_HEAD, self._entry.size - 1):
            self._head = self._head or _inflated_head(self._packed)
            if start + count <= len(self._head):
                return self._head[start : start + count]
        return bytes(self.view(start, count))

    def close(self) -> None:
        """Release the bytes and the file's handle; views stay valid."""
        self._data = None
        self._packed.close()


def _inflated_head(packed: Source) -> bytes:
    """Return the member's first bytes, unchecked; empty if they cannot be inflated."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed.head(_HEAD), _HEAD)
    except zlib.error:
        return b""


def _inflate(packed: Source, entry: ZipEntry) -> bytearray:
    """Return the member's bytes; memory grows with the data and not with the size it claims."""
    data = bytearray()
    for piece in _inflated(packed, entry):
        data += piece
    return data


def _inflated(packed: Source, entry: ZipEntry) -> Iterator[bytes]:
    """Yield the member's bytes; FormatError at the end if size or checksum differ."""
    stream, at, pending, size, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0, b"", 0, 0
    try:
        while not stream.eof and size <= entry.size:
            if not pending:
                pending = packed.read(at, min(_STEP, packed.size - at))
                at += len(pending)
            piece = stream.decompress(pending, _STEP)
            if not piece and not pending:
                break
            pending = stream.unconsumed_tail
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            yield piece
    except zlib.error as error:
        raise FormatError(packed.name, f"it cannot be inflated ({error})", DAMAGED) from None
    if size != entry.size or not stream.eof:
        raise FormatError(
            packed.name,
            f"it does not inflate to the {entry.size} bytes that its entry gives",
            DAMAGED,
        )
    if crc != entry.crc:
        raise FormatError(packed.name, "it does not match its checksum", DAMAGED)

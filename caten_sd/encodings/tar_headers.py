"""Read the headers of a tar one after the other, and check each before it is used.

Layout: POSIX.1-2001 (ustar, pax) and GNU's long names. Python's tarfile accepts negative sizes,
follows links and can be made to run forever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, NoReturn, Protocol

from caten_sd.encodings.zip_directory import is_unsafe
from caten_sd.errors import FormatError
from caten_sd.state.source import Source

BLOCK = 512
MAX_MEMBERS = 1_000_000
MAX_EXTENSION = 1 << 20  # bytes of a long name or of pax records

_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"5": "folder", b"1": "link", b"2": "link"}
_DAMAGED = "it is truncated, damaged or made to deceive, so get it again"


class Stream(Protocol):
    """Bytes read in order; ``at`` is the position of the next one."""

    name: str
    at: int

    def take(self, count: int) -> bytes:
        """Read the next bytes; FormatError if there are fewer."""

    def skip_to(self, position: int) -> None:
        """Go to a later position; FormatError if it is past the end."""

    def is_at_end(self) -> bool:
        """Return whether no byte is left."""


class SourceStream:
    """A source read in order; skipping costs nothing."""

    def __init__(self, source: Source) -> None:
        self.name, self._source, self.at = source.name, source, 0

    def take(self, count: int) -> bytes:
        """Read the next bytes."""
        data = self._source.read(self.at, count)
        self.at += count
        return data

    def skip_to(self, position: int) -> None:
        """Go to a later position."""
        if position > self._source.size:
            _refuse(self, f"it is {position - self._source.size} bytes short")
        self.at = position

    def is_at_end(self) -> bool:
        """Return whether no byte is left."""
        return self.at >= self._source.size


class TarMember(NamedTuple):
    """A member: a file, folder, link, sparse file or device; ``offset`` is that of its data."""

    name: str
    kind: str
    offset: int
    size: int


def tar_members(stream: Stream) -> Iterator[TarMember]:
    """Yield the members; the stream is then at a member's data, which may be read before the next.

    FormatError for a malformed checksum, size or name, and for a missing end mark.
    """
    records: dict[str, str] = {}
    for _ in range(MAX_MEMBERS):
        if stream.is_at_end():
            _refuse(stream, "it ends without a tar's end mark")
        head = stream.take(BLOCK)
        if not any(head):
            return
        kind, size = head[156:157], _size(stream, head)
        if kind in (b"x", b"L", b"K", b"g"):
            data = _extension(stream, size)
            if kind == b"x":
                records.update(_records(stream, data))
            elif kind == b"L":
                records["path"] = _text(stream, data.rstrip(b"\0"))
            continue
        member = _member(stream, head, records, size)
        records = {}
        yield member
        stream.skip_to(member.offset + member.size + -member.size % BLOCK)
    _refuse(stream, f"it has over {MAX_MEMBERS} members")


def is_tar(head: bytes) -> bool:
    """Return whether a file that begins so is a tar, by the checksum of its first header.

    The oldest tars have no magic.
    """
    if len(head) < BLOCK or not any(head[:100]):
        return False
    digits = head[148:156].strip(b" \0")
    total = sum(head[:148]) + 8 * 32 + sum(head[156:BLOCK])
    return digits.isdigit() and all(48 <= d < 56 for d in digits) and int(digits, 8) == total


def first_name(head: bytes) -> str:
    """Return the name in a tar's first header, without a leading ./"""
    return head[:100].rstrip(b"\0").decode("latin1").removeprefix("./")


def _member(stream: Stream, head: bytes, records: dict[str, str], size: int) -> TarMember:
    kind = _KINDS.get(head[156:157], "sparse" if head[156:157] == b"S" else "device")
    if any(key.startswith("GNU.sparse") for key in records):
        kind = "sparse"
    if "size" in records:
        digits = records["size"]
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
            _refuse(stream, f"a member's size is {digits[:40]!r}")
        size = int(digits)
    name = records.get("path") or _name(stream, head)
    name = name.rstrip("/") or "."
    while name.startswith("./"):
        name = name[2:].lstrip("/") or "."
    if is_unsafe(name) or size >= 1 << 63:
        _refuse(
            stream,
            f"its member {name[:80]!r} of {size} bytes leads out of its folder or is over 2^63",
        )
    return TarMember(name, kind, stream.at, size if kind == "file" or kind == "sparse" else 0)


def _name(stream: Stream, head: bytes) -> str:
    name, prefix = head[:100].split(b"\0")[0], head[345:500].split(b"\0")[0]
    if head[257:262] == b"ustar" and head[262:264] != b" \0" and prefix:
        name = prefix + b"/" + name
    return _text(stream, name)


def _text(stream: Stream, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        _refuse(stream, f"a member's name, {data[:40]!r}, is not UTF-8")


def _size(stream: Stream, head: bytes) -> int:
    """Return the size in a header, octal or in GNU's binary form."""
    if not is_tar(head):
        _refuse(stream, f"the tar header at {stream.at - BLOCK} has a wrong checksum")
    field = head[124:136]
    if field[0] & 0x80:
        size = int.from_bytes(field, "big", signed=True) + (1 << 95)
        return size if 0 <= size < 1 << 63 else _refuse(stream, "a member's size is negative")
    digits = field.strip(b" \0") or b"0"
    if not all(48 <= digit < 56 for digit in digits):
        _refuse(stream, f"a member's size is {digits!r}")
    return int(digits, 8)


def _extension(stream: Stream, size: int) -> bytes:
    if size > MAX_EXTENSION:
        _refuse(stream, f"a tar header of {size} bytes is over the limit of {MAX_EXTENSION}")
    data = stream.take(size)
    stream.skip_to(stream.at + -size % BLOCK)
    return data


def _records(stream: Stream, data: bytes) -> dict[str, str]:
    """Return pax records: each is its length, a space, key=value and a line feed."""
    records, at = {}, 0
    while at < len(data):
        digits = data[at : at + 12].split(b" ")[0]
        size = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        line = data[at + len(digits) + 1 : at + size]
        if size <= len(digits) + 1 or at + size > len(data) or line[-1:] != b"\n":
            _refuse(stream, "its pax records are malformed")
        key, _, value = line[:-1].partition(b"=")
        if key in (b"path", b"size") or key.startswith(b"GNU.sparse"):
            records[_text(stream, key)] = _text(stream, value)
        at += size
    return records


def _refuse(stream: Stream, problem: str) -> NoReturn:
    raise FormatError(stream.name, problem, _DAMAGED)

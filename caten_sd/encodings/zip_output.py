"""Write a zip file in one pass; members are stored and aligned, so that they can be mapped.

Checksums follow the data, as in torch's files, so that nothing is buffered or rewritten. Layout:
PKWARE's APPNOTE 6.3.10 and torch's caffe2/serialize/inline_container.cc.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from caten_sd.encodings.zip_directory import (
    CENTRAL,
    DESCRIPTOR,
    END,
    END64,
    FULL16,
    FULL32,
    LOCAL,
    LOCATOR,
    STORED,
    UTF8,
)
from caten_sd.errors import StateDictError

_DATE = 33  # 1980-01-01, the earliest that zip can store: same content, same bytes
_PADDING = b"FB"  # torch's name for the extra field that aligns the data


class ZipOutput:
    """Writes members to ``target`` one after the other; ``finish`` writes the directory.

    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> output = ZipOutput(file)
    >>> output.add("a.txt", 4, [b"te", b"xt"])
    >>> output.finish()
    >>> zipfile.ZipFile(file).read("a.txt")
    b'text'
    """

    def __init__(self, target: BinaryIO, *, alignment: int = 64) -> None:
        self._target, self._alignment, self._at = target, alignment, 0
        self._directory: list[bytes] = []

    def add(self, name: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """Write a member; StateDictError if its pieces do not have ``size`` bytes in all."""
        raw, start = name.encode(), self._at
        self._write(self._local_header(raw, size))
        crc, before = 0, self._at
        for piece in pieces:
            crc = zlib.crc32(piece, crc)
            self._write(piece)
        if self._at - before != size:
            raise StateDictError(
                f"{name} has {self._at - before} bytes and its spec has {size}; make its data and "
                f"its spec agree"
            )
        if size:  # torch omits it for an empty member, and expects it to be absent
            code = "<4sI2Q" if max(size, start) >= FULL32 else "<4sI2I"
            self._write(struct.pack(code, b"PK\7\x08", crc, size, size))
        self._directory.append(_central(raw, crc, size, start))

    def _local_header(self, name: bytes, size: int) -> bytes:
        longs, short = _long_field(size, size, self._at), FULL32 if size >= FULL32 else 0
        padding = -(self._at + LOCAL.size + len(name) + len(longs) + 4) % self._alignment
        extra = longs + _PADDING + struct.pack("<H", padding) + b"Z" * padding
        # fmt: off
        header = LOCAL.pack(b"PK\3\4", 20, _flags(size), STORED, 0, _DATE, 0, short, short,
                            len(name), len(extra))
        # fmt: on
        return header + name + extra

    def finish(self) -> None:
        """Write the directory, with 64-bit fields if a size or the number of members needs them."""
        start, count = self._at, len(self._directory)
        for entry in self._directory:
            self._write(entry)
        size, end = self._at - start, self._at
        if count >= FULL16 or end >= FULL32:
            fields = (END64.size - 12, 45, 45, 0, 0, count, count, size, start)
            self._write(END64.pack(b"PK\6\6", *fields))
            self._write(LOCATOR.pack(b"PK\6\7", 0, end, 1))
        count = min(count, FULL16)
        self._write(
            END.pack(b"PK\5\6", 0, 0, count, count, min(size, FULL32), min(start, FULL32), 0)
        )

    def _write(self, data: bytes | memoryview) -> None:
        self._target.write(data)
        self._at += len(data)


def _central(name: bytes, crc: int, size: int, start: int) -> bytes:
    extra = _long_field(size, size, start)
    short, offset = min(size, FULL32), min(start, FULL32)
    version = 45 if extra else 20
    # fmt: off
    header = CENTRAL.pack(b"PK\1\2", version, version, _flags(size), STORED, 0, _DATE, crc, short,
                          short, len(name), len(extra), 0, 0, 0, 0, offset)
    # fmt: on
    return header + name + extra


def _flags(size: int) -> int:
    return DESCRIPTOR | UTF8 if size else UTF8


def _long_field(*values: int) -> bytes:
    """Return the extra field for the values that 32 bits cannot hold."""
    long = [value for value in values if value >= FULL32]
    return struct.pack(f"<2H{len(long)}Q", 1, 8 * len(long), *long) if long else b""

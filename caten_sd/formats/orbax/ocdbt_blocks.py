"""The blocks of OCDBT: a magic number, a length, perhaps zstd, and a checksum at the end."""

from __future__ import annotations

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.chunk_codecs import unpack_zstd
from caten_sd.formats.orbax.crc32c import crc32c
from caten_sd.formats.orbax.varint_columns import Columns
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

MANIFEST, NODE = 0x0CDB3A2A, 0x0CDB20DE
_HEADER, _CRC = 12, 4  # bytes
_BLOCK = 4096  # bytes, and with them time, that a block takes besides its body
MOST_NODE = 256 << 20  # bytes of a packed body


def block_body(source: Source, magic: int, memory: HeaderMemory) -> Columns:
    """Return the body of a block, its checksum compared; FormatError if it is not a sound one."""
    size = source.size
    if size < _HEADER + _CRC + 2:
        raise FormatError(
            source.name, f"a block of {size} bytes is too short", "it is damaged, so get it again"
        )
    memory.take(size + _BLOCK)
    data = source.read(0, size)
    columns = Columns(source.name, data[:-_CRC])
    if (found := int.from_bytes(columns.take(4), "big")) != magic:
        columns.refuse(f"it begins with {found:08x} and not {magic:08x}, as OCDBT does")
    if (length := int.from_bytes(columns.take(8), "little")) != size:
        columns.refuse(f"its header says {length:,} bytes and it has {size:,}")
    if crc32c(columns.body) != int.from_bytes(data[-_CRC:], "little"):
        columns.refuse("its checksum does not match")
    if version := columns.varint():
        raise FormatError(
            source.name,
            f"it is of version {version} of OCDBT, and version 0 is read",
            "save it again with another Orbax",
        )
    return _unpacked(columns, columns.varint(), memory)


def _unpacked(columns: Columns, method: int, memory: HeaderMemory) -> Columns:
    rest = columns.body[columns.at :]
    if method == 0:
        return Columns(columns.name, rest)
    if method != 1:
        columns.refuse(f"its compression is of the unknown kind {method}")
    most = min(MOST_NODE, max(memory.left, 0))
    body = bytes(unpack_zstd(columns.name, rest, most))
    if len(body) > most:
        columns.refuse(f"its body is of over {most:,} bytes")
    memory.take(len(body))
    return Columns(columns.name, body)

"""Unpack a chunk into exactly the bytes that its array says, and no more."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NoReturn

from caten_sd.dispatch.installing import install_command
from caten_sd.errors import FormatError
from caten_sd.formats.orbax.crc32c import crc32c

Buffer = bytes | bytearray | memoryview

_PIECE = 1 << 20  # bytes
_WINDOW = 1 << 27  # bytes; zstd's own limit, unless it is asked for more
_DAMAGED = "it is damaged, so get it again"


def unpack_zstd(name: str, data: Buffer, most: int) -> Any:
    """Return what a zstd frame holds, at most a byte more than ``most``; it can be changed."""
    module = _zstandard(name)
    try:
        claimed = int(module.frame_content_size(data))
        if claimed > most:
            _refuse(name, f"its packed data is of {claimed:,} bytes and not of {most:,}")
        buffer, at = _buffer(name, claimed if claimed >= 0 else most), 0
        with module.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(data) as reader:
            while at < len(buffer) and (count := reader.readinto(buffer[at:])):
                at += count
    except module.ZstdError as error:
        _refuse(name, f"its packed data cannot be unpacked ({error})")
    return buffer[:at]


def _buffer(name: str, size: int) -> memoryview:
    """Return a byte more than ``size``, of which the system gives those that are written to."""
    import numpy as np

    try:
        return np.empty(size + 1, np.uint8).data
    except (MemoryError, ValueError):
        _refuse(name, f"it claims {size:,} bytes, which do not fit in memory")


def _unpack_deflated(name: str, data: Buffer, size: int) -> Any:
    """Return the bytes in gzip or zlib data, at most one more than ``size``."""
    unpacker = zlib.decompressobj(47)  # either of both headers
    buffer, at, rest = _buffer(name, size), 0, bytes(data)
    try:
        while at < len(buffer) and not unpacker.eof:
            piece = unpacker.decompress(rest, min(_PIECE, len(buffer) - at))
            if not piece and not unpacker.eof:
                _refuse(name, "its packed data ends too soon")
            buffer[at : at + len(piece)] = piece
            at, rest = at + len(piece), unpacker.unconsumed_tail
    except zlib.error as error:
        _refuse(name, f"its packed data cannot be unpacked ({error})")
    return buffer[:at]


def _without_crc(name: str, data: Buffer, size: int) -> Buffer:
    """Return the bytes before their CRC-32C, which is compared."""
    kept = data[:-4]
    if len(data) < 4 or crc32c(kept) != int.from_bytes(data[-4:], "little"):
        _refuse(name, "the checksum of its data does not match")
    return kept


CODECS: dict[str, Callable[[str, Any, int], Any]] = {
    "zstd": unpack_zstd,
    "gzip": _unpack_deflated,
    "zlib": _unpack_deflated,
    "crc32c": _without_crc,
}


def unpacked(name: str, data: Any, codecs: tuple[str, ...], size: int) -> Any:
    """Return the ``size`` bytes of a chunk, whose codecs are in the order of their undoing."""
    for number, codec in enumerate(codecs):
        added = sum(4 for later in codecs[number + 1 :] if later == "crc32c")
        data = CODECS[codec](name, data, size + added)
    if len(data) != size:
        more = "more than" if len(data) > size else f"{len(data):,} and not"
        _refuse(name, f"its data is of {more} {size:,} bytes")
    return data


def _zstandard(name: str) -> Any:
    try:
        import zstandard
    except ImportError:
        raise FormatError(
            name,
            "it is packed with zstd, which Python cannot unpack by itself",
            install_command("orbax"),
        ) from None
    return zstandard


def _refuse(name: str, problem: str) -> NoReturn:
    raise FormatError(name, problem, _DAMAGED)

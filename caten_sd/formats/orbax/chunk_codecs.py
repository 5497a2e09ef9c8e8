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
_TRUSTED = 64 << 20  # bytes that are made at once on the word of a header
_RATIO = 1000  # times the packed bytes, too
_WINDOW = 1 << 27  # bytes; zstd's own limit, unless it is asked for more
_DAMAGED = "it is damaged, so get it again"


def unpack_zstd(name: str, data: Buffer, most: int) -> Any:
    """Return what a zstd frame holds, at most ``most`` bytes, in a buffer that can be changed."""
    module = _zstandard(name)
    try:
        claimed = int(module.frame_content_size(data))
        if claimed > most:
            _refuse(name, f"its packed data is of {claimed:,} bytes and not of {most:,}")
        size = claimed if claimed >= 0 else most
        with module.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(data) as reader:
            return _filled(reader, size, at_once=size <= max(_TRUSTED, _RATIO * len(data)))
    except module.ZstdError as error:
        _refuse(name, f"its packed data cannot be unpacked ({error})")


def _filled(reader: Any, size: int, *, at_once: bool) -> Any:
    """Return all that is read, up to a byte more than ``size``; piece by piece if not at once."""
    import numpy as np

    at = 0
    buffer: Any = np.empty(size + 1, np.uint8).data if at_once else bytearray()
    while at <= size:
        if not at_once:
            buffer += bytes(min(_PIECE, size + 1 - at))
        count = reader.readinto(memoryview(buffer)[at:])
        if not count:
            break
        at += count
    return memoryview(buffer)[:at]


def _unpack_deflated(name: str, data: Buffer, size: int) -> Any:
    """Return the bytes in gzip or zlib data."""
    unpacker = zlib.decompressobj(47)  # either of both headers
    found, rest = bytearray(), bytes(data)
    try:
        while len(found) <= size and (rest or not found) and not unpacker.eof:
            piece = unpacker.decompress(rest, min(_PIECE, size + 1 - len(found)))
            found += piece
            rest = unpacker.unconsumed_tail
            if not piece and not rest:
                break
    except zlib.error as error:
        _refuse(name, f"its packed data cannot be unpacked ({error})")
    if not unpacker.eof and len(found) <= size:
        _refuse(name, "its packed data ends too soon")
    return found


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

"""Decompress gzip, bzip2 or xz in order, never further than was asked for."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.source import Source
from caten_sd.wording import counted

# Weights shrink by a tenth, zeros a thousandfold; a ratio this high for this long is a bomb.
MAX_RATIO = 200
GRACE = 64 << 20  # bytes that may come out, whatever went in
_STEP = 1 << 18
_XZ_MEMORY = 256 << 20

_ENGINES: dict[bytes, Any] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY),
}


def compression(source: Source) -> bytes | None:
    """Return the magic of the compression that the source begins with, or None."""
    head = source.head(6)
    return next((magic for magic in _ENGINES if head.startswith(magic)), None)


class Unpacking:
    """The decompressed bytes of a gzip, bzip2 or xz source, as a stream."""

    def __init__(self, source: Source) -> None:
        magic = compression(source)
        assert magic is not None
        self.name, self.at = source.name, 0
        self._source, self._new = source, _ENGINES[magic]
        self._engine = self._new()
        self._taken = 0
        self._pending = self._ready = b""

    def take(self, count: int) -> bytes:
        """Read the next bytes; FormatError if there are fewer."""
        pieces, missing = [], count
        while missing:
            if not self._fill():
                self._refuse(f"it is {counted(missing, 'byte')} short")
            piece, self._ready = self._ready[:missing], self._ready[missing:]
            missing -= len(piece)
            self.at += len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def skip_to(self, position: int) -> None:
        """Go to a later position; the bytes before it are decompressed and dropped."""
        while self.at < position:
            self.take(min(position - self.at, _STEP))

    def drain(self, limit: int) -> bool:
        """Drop up to ``limit`` of the remaining bytes; return whether that was all of them."""
        end = self.at + limit
        while self._fill() and self.at < end:
            self.at, self._ready = self.at + len(self._ready), b""
        return not self._ready

    def is_at_end(self) -> bool:
        """Return whether no byte is left; if so, the checksum has been compared."""
        return not self._fill()

    def _fill(self) -> bool:
        """Make bytes ready; return whether there are any more."""
        while not self._ready:
            if self._engine.eof and not self._next_engine():
                return False
            self._ready = self._unpack()
            if self.at + len(self._ready) > GRACE + MAX_RATIO * self._taken:
                self._refuse(f"it unpacks to over {MAX_RATIO} times its size")
        return True

    def _next_engine(self) -> bool:
        """Start the next of several compressed streams in a row, as pigz and pbzip2 write them."""
        self._pending = (self._engine.unused_data or self._pending) or self._read()
        if not self._pending.strip(b"\0"):
            return False
        self._engine = self._new()
        return True

    def _read(self) -> bytes:
        data = self._source.read(self._taken, min(_STEP, self._source.size - self._taken))
        self._taken += len(data)
        return data

    def _unpack(self) -> bytes:
        starved = getattr(self._engine, "needs_input", not self._pending)
        if starved and not self._pending:
            self._pending = self._read()
            if not self._pending:
                self._refuse("its compressed data ends too early")
        try:
            data: bytes = self._engine.decompress(self._pending, _STEP)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
            self._refuse(f"it cannot be unpacked ({error})")
        self._pending = getattr(self._engine, "unconsumed_tail", b"")
        return data

    def _refuse(self, problem: str) -> Any:
        raise FormatError(self.name, problem, "it is truncated or damaged, so get it again")

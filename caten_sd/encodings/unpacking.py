"""Compressed bytes read in order, never more of them than were asked for."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.state.source import Source

# Weights shrink by a tenth, zeros a thousandfold; what goes on beyond both is a bomb.
MAX_RATIO = 200
GRACE = 64 << 20  # bytes that may come out whatever went in
_STEP = 1 << 18
_XZ_MEMORY = 256 << 20

_ENGINES: dict[bytes, Any] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY),
}


def packing(source: Source) -> bytes | None:
    """Return the magic of the compression that the source begins with, or None."""
    head = source.head(6)
    return next((magic for magic in _ENGINES if head.startswith(magic)), None)


class Unpacking:
    """A gzip, bzip2 or xz source as a stream of what it holds."""

    def __init__(self, source: Source) -> None:
        magic = packing(source)
        assert magic is not None
        self.name, self.at = source.name, 0
        self._source, self._new = source, _ENGINES[magic]
        self._engine = self._new()
        self._taken = 0
        self._pending = self._ready = b""

    def take(self, count: int) -> bytes:
        """Return the next bytes; FormatError if there are fewer."""
        parts, missing = [], count
        while missing:
            if not self._fill():
                self._refuse(f"it ends {missing} bytes too early")
            part, self._ready = self._ready[:missing], self._ready[missing:]
            missing -= len(part)
            self.at += len(part)
            parts.append(part)
        return b"".join(parts)

    def skip_to(self, position: int) -> None:
        """Go on at a later position, what lies between unpacked and dropped."""
        while self.at < position:
            self.take(min(position - self.at, _STEP))

    def drain(self, limit: int) -> bool:
        """Drop what is left, up to ``limit`` bytes; tell whether that was all."""
        end = self.at + limit
        while self._fill() and self.at < end:
            self.at, self._ready = self.at + len(self._ready), b""
        return not self._ready

    def is_at_end(self) -> bool:
        """Whether there is no further byte; the checksum has been compared then."""
        return not self._fill()

    def _fill(self) -> bool:
        """Have bytes ready; False where there are no more."""
        while not self._ready:
            if self._engine.eof and not self._next_engine():
                return False
            self._ready = self._unpack()
            if self.at + len(self._ready) > GRACE + MAX_RATIO * self._taken:
                self._refuse(f"it unfolds to over {MAX_RATIO} times its size")
        return True

    def _next_engine(self) -> bool:
        """Go on with a further compressed stream behind the last, as pigz and pbzip2 write them."""
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
        hungry = getattr(self._engine, "needs_input", not self._pending)
        if hungry and not self._pending:
            self._pending = self._read()
            if not self._pending:
                self._refuse("its compressed data breaks off")
        try:
            data: bytes = self._engine.decompress(self._pending, _STEP)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
            self._refuse(f"it cannot be unpacked ({error})")
        self._pending = getattr(self._engine, "unconsumed_tail", b"")
        return data

    def _refuse(self, problem: str) -> Any:
        raise FormatError(self.name, problem, "it is truncated or damaged, so get it again")

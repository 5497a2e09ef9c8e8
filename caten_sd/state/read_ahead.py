"""Read the many small headers of a file in windows, a read of the system for each window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caten_sd.state.source import Source

WINDOW = 1 << 14  # bytes; copying more takes longer than another read


class ReadAhead:
    """Reads a source in windows; each read within the last one costs no access to the file.

    >>> from caten_sd.state.backing import BytesBacking
    >>> from caten_sd.state.source import Source
    >>> ahead = ReadAhead(Source("four bytes", BytesBacking(b"abcd"), 0, 4))
    >>> ahead.read(1, 2), ahead.read(2, 2)
    (b'bc', b'cd')
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._window = (0, b"")  # one value, so that threads may share it

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes; FormatError past the end of the source."""
        first, window = self._window
        at = start - first
        if at < 0 or at + count > len(window):
            size = max(count, min(WINDOW, self._source.size - start))
            self._window, at = (start, window := self._source.read(start, size)), 0
        return window[at : at + count]

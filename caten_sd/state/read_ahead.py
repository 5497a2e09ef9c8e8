"""Read the many small headers of a file in windows, a read of the system for each window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caten_sd.state.source import Source

FIRST, WINDOW = 1 << 8, 1 << 14  # bytes; copying more takes longer than another read


class ReadAhead:
    """Reads a source in windows, which grow while each read is near the one before.

    A read within the last window costs no access to the file, and one that is far from it reads
    what is asked for: the headers of large members are not near.

    >>> from caten_sd.state.backing import BytesBacking
    >>> from caten_sd.state.source import Source
    >>> ahead = ReadAhead(Source("four bytes", BytesBacking(b"abcd"), 0, 4))
    >>> ahead.read(1, 2), ahead.read(2, 2)
    (b'bc', b'cd')
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._window = (0, b"", 0)  # one value, so that threads may share it

    def read(self, start: int, count: int) -> bytes:
        """Return a copy of the bytes; FormatError past the end of the source."""
        first, window, step = self._window
        at = start - first
        if at < 0 or at + count > len(window):
            is_near = step and 0 <= at <= len(window) + WINDOW
            step = min(2 * step, WINDOW) if is_near else FIRST
            most = min(step, self._source.size - start) if is_near else 0
            window = self._source.read(start, max(count, most))
            self._window, at = (start, window, step), 0
        return window[at : at + count]

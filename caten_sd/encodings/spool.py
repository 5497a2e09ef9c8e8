"""A nameless temporary file: bytes that are unpacked once and then read in any order."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable

from caten_sd.errors import FormatError
from caten_sd.state.backing import FileBacking
from caten_sd.state.source import Source


def spooled(name: str, size: int, pieces: Iterable[bytes]) -> Source:
    """Return ``size`` bytes as a mapped source; closing it frees the disk.

    FormatError if the disk has no room for them.
    """
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise FormatError(
            name, f"it takes {size:,} bytes unpacked, and {free:,} are free", "unpack it elsewhere"
        )
    try:
        with tempfile.TemporaryFile(buffering=1 << 20) as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            backing = FileBacking(os.dup(file.fileno()))
    except OSError as error:
        raise FormatError(name, f"it cannot be unpacked ({error})", "check the disk") from error
    return Source(name, backing, 0, size)

"""A file is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from caten_sd.errors import FormatError

MARK = ".caten-partial"  # a name no reader takes, by which a killed save's leftover is known


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path`` at the end: temporary beside it, fsync, rename.

    If the body raises, or the process is killed, what was at ``path`` is untouched; the leftover of
    a killed save of the same file is removed by the next one.
    """
    try:
        for stale in path.parent.glob(f".{glob.escape(path.name)}.*{MARK}"):
            stale.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(MARK, f".{path.name}.", path.parent)
    except OSError as error:
        if not path.parent.is_dir():
            raise FormatError(path, "there is no such folder to write it in", "make it") from error
        what = f"it cannot be written ({error.strerror})"
        raise FormatError(path, what, "check the folder") from error
    try:
        with os.fdopen(handle, "w+b", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode(path))
        os.replace(name, path)
    except OSError as error:
        raise FormatError(path, f"it cannot be written ({error})", "check the disk") from error
    finally:
        Path(name).unlink(missing_ok=True)
    sync_folder(path.parent)


def _mode(path: Path) -> int:
    """Return the permissions that a plain ``open(path, "w")`` would leave."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable; a system that cannot open folders has nothing to sync."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

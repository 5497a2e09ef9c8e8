"""What a save writes before it is done: hidden names, by which the next save finds the dead ones.

The writer holds a lock on its hidden file or folder as long as it lives. A leftover is removed only
by who gets that lock, and where there are no locks nothing is.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from caten_sd.files.locks import lock

MARK = ".caten-partial"  # a name no reader takes, by which a killed save's leftover is known
LONGEST = 200  # bytes of a target's name; longer ones would pass the limit of 255 with the rest


def hidden_name(target: Path) -> Path:
    """Return a new name next to the target, for what is to take its place."""
    return target.with_name(f"{_prefix(target)}{os.urandom(6).hex()}{MARK}")


def _prefix(target: Path) -> str:
    name = os.fsencode(target.name)
    if len(name) <= LONGEST:
        return f".{target.name}."
    import hashlib

    return f".{hashlib.sha256(name).hexdigest()}."


def sweep(target: Path) -> None:
    """Remove what killed saves of the target left; what a living one writes stays."""
    prefix = _prefix(target)
    with os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(MARK):
                with contextlib.suppress(OSError):  # what cannot be removed does no harm
                    _remove_dead(Path(entry.path))


def _remove_dead(leftover: Path) -> None:
    is_folder = stat.S_ISDIR(os.lstat(leftover).st_mode)
    handle = _opened(leftover, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        if not lock(handle):
            return
        if is_folder:
            import shutil

            shutil.rmtree(leftover, ignore_errors=True)
        else:
            os.unlink(leftover)
    finally:
        os.close(handle)


def _opened(leftover: Path, flags: int) -> int:
    """Open it for writing if that is allowed: some network file systems lock nothing else."""
    safely = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(leftover, flags | safely)
    except PermissionError:
        return os.open(leftover, os.O_RDONLY | safely)

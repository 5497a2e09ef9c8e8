"""A file is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import BinaryIO

from caten_sd.errors import FormatError
from caten_sd.files.leftovers import hidden_name, sweep
from caten_sd.files.locks import lock
from caten_sd.files.synced_file import SyncedFile

Check = Callable[[Path, Path], None]  # of what was written, and of the target whose place it takes

# Every writer takes its target's place here, whatever its format, so here what it wrote is checked.
_check: ContextVar[Check | None] = ContextVar("check", default=None)

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path`` at the end: temporary next to it, fsync, rename.

    If the body raises, or the process is killed, what was at ``path`` is untouched; the leftover of
    a killed save of the same file is removed by the next one.
    """
    try:
        target = path.absolute()  # whatever the working folder is in the meantime
        mode = mode_of_target(path)
        with contextlib.ExitStack() as cleanup:
            sweep(target)
            file, name = _created(target, mode, cleanup)
            yield file
            file.begin_sync()  # the disk works while the check reads what was written
            before_rename(name, path)
            file.sync()
            if os.name == "nt":  # which renames nothing that is open, and has no locks to lose
                file.close()
            os.replace(name, target)
    except OSError as error:
        raise unwritable(path, error) from error
    sync_folder(target.parent)


def _created(
    target: Path, mode: int | None, cleanup: contextlib.ExitStack
) -> tuple[SyncedFile, Path]:
    """Return a new file and its name, both of which the clean-up ends.

    Another save may sweep it away before it is locked; then the next name is tried.
    """
    while True:
        name = hidden_name(target)
        cleanup.callback(_quietly, partial(os.unlink, name))
        file = create(name, mode)
        cleanup.callback(_quietly, file.close)
        if lock(file.fileno()) is not False and os.fstat(file.fileno()).st_nlink:
            return file, name


def create(path: Path, mode: int | None) -> SyncedFile:
    """Open a file that must be new, with these permissions from its first byte.

    Without any the system applies the umask.
    """
    opener = partial(os.open, mode=0o666 if mode is None else mode)
    file = SyncedFile(path, opener)
    try:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), mode)
    except BaseException:
        file.close()
        raise
    return file


def _quietly(action: Callable[[], object]) -> None:
    """Clean up; an error would hide why, and a leftover does no harm."""
    with contextlib.suppress(OSError):
        action()


def mode_of_target(path: Path) -> int | None:
    """Return the permissions of the file to be replaced, or None if there is none.

    FormatError if a file cannot take its place.
    """
    known = _mode_at(path)
    if known:
        require_kind(path, stat.S_IFREG)
        return stat.S_IMODE(known) & 0o777
    if not path.parent.is_dir():
        raise FormatError(path, "there is no such folder to write it in", "make it")
    return None


def require_kind(path: Path, kind: int) -> None:
    """Refuse a path at which something else is than a regular file, or than a folder."""
    there = stat.S_IFMT(_mode_at(path))
    if there not in (0, kind):
        raise FormatError(
            path,
            f"{_KINDS.get(there, 'something')} is there, and it cannot become {_KINDS[kind]}",
            "choose another path",
        )


def _mode_at(path: Path) -> int:
    """Return what is at a path, through links, and its permissions; 0 if nothing is there."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


@contextlib.contextmanager
def checked(check: Check) -> Iterator[None]:
    """Let ``check`` read what a writer in this context wrote, before it takes the target's place.

    It is given the path of what was written and that of the target. If it raises, the target stays
    as it was.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def before_rename(written: Path, target: Path) -> None:
    """Run the check of this context, if there is one."""
    check = _check.get()
    if check is not None:
        check(written, target)


def unwritable(path: Path, error: OSError) -> FormatError:
    """Return the error that says why a path cannot be written."""
    why = error.strerror or error
    return FormatError(path, f"it cannot be written ({why})", "check the folder and its disk")


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable; a system that cannot open folders has nothing to sync."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

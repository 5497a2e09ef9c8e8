"""Who is writing: locks that the system takes back when a process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


def lock(handle: int, *, wait: bool = False) -> bool | None:
    """Return whether this handle now has its file or folder alone.

    None where the system, or the file system, has no such locks.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def unlock(handle: int) -> None:
    """Give a lock back at once: closing does not, if a forked child has a copy of the handle."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)


def still_named(handle: int, path: Path) -> bool:
    """Return whether the open file or folder is the one that lies at the path."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


class FolderLock:
    """A folder that one save at a time writes to; another one waits until the lock is free.

    ``held`` is false where there are no locks, so that nobody waits; ``made`` says whether the
    folder was absent.
    """

    _handle: int | None = None  # also where an interruption comes before __init__ is done

    def __init__(self, folder: Path) -> None:
        self.folder, self.held, self.made = folder, False, False
        self._process = os.getpid()

    def __enter__(self) -> Self:
        """Make the folder if it is absent, and wait for the lock."""
        try:
            while not self._taken():
                self.release()
        except BaseException:
            self.release()
            raise
        return self

    def _taken(self) -> bool:
        """Return whether the folder is there to stay.

        The save that had the lock before may have failed and removed the folder that it made.
        """
        self.made = not self.folder.is_dir()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._handle = os.open(self.folder, os.O_RDONLY)
        except PermissionError:  # Windows opens no folders
            return True
        except FileNotFoundError:
            return False
        self.held = bool(lock(self._handle, wait=True))
        return not self.held or still_named(self._handle, self.folder)

    def __exit__(self, *raised: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the lock back; more than once does no harm."""
        if self._handle is not None:
            if os.getpid() == self._process:  # a forked child shares the lock and does not own it
                unlock(self._handle)
            handle, self._handle, self.held = self._handle, None, False
            with contextlib.suppress(OSError):
                os.close(handle)

    def __del__(self) -> None:
        self.release()

"""A checkpoint of several files is replaced whole or not at all, too."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from caten_sd.errors import FormatError
from caten_sd.files.atomic import (
    create,
    mode_of_target,
    replacing,
    require_kind,
    sync_folder,
    unwritable,
)
from caten_sd.files.locks import FolderLock
from caten_sd.files.synced_file import SyncedFile


class FileSet:
    """New files next to those that are live, and ``last``, written last, that says which count.

    Between ``begin`` and ``end`` other saves wait, unless the file system has no locks.
    """

    def __init__(self, folder: Path, last: str = "", *, place: Path | None = None) -> None:
        self.folder, self.last = folder, last
        self._place = (place or folder).absolute()  # whatever the working folder is later
        self._lock = FolderLock(self._place)
        self._mode: int | None = None
        self._before: dict[str, tuple[int, ...]] = {}
        self._made: list[str] = []
        self.folders: set[Path] = set()  # in the folder itself, at any depth
        self._committing: os.stat_result | None = None

    @property
    def locked(self) -> bool:
        """Whether other saves wait, so that a file is dead if nothing that is live names it."""
        return self._lock.held

    def begin(self) -> None:
        """Make the folder if it is absent, and wait until no other save writes to it."""
        require_kind(self.folder, stat.S_IFDIR)
        self._lock.__enter__()
        self._mode = mode_of_target(self._place / self.last)
        if not self.locked:
            self._before = {name: self._identity(name) for name in self.names()}

    def end(self) -> None:
        """Remove what was not committed, and let the next save begin; twice does no harm."""
        try:
            if not self._is_committed():
                self._unlink(self._made)
                if self._lock.made:
                    with contextlib.suppress(OSError):
                        self._place.rmdir()
        finally:
            self._lock.release()

    def names(self) -> list[str]:
        """Return the names in the folder, sorted."""
        return sorted(os.listdir(self._place))

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """Yield a new file, which must have a name of its own; it is gone if the set fails."""
        try:
            with self._created(name) as file:
                yield file
                file.sync()
        except OSError as error:
            raise unwritable(self.folder / name, error) from error

    def make_folder(self, name: str) -> None:
        """Make a folder for files with longer names, and those above it, which stay."""
        try:
            folder = self._place / name
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder / name, error) from error
        while folder != self._place:
            self.folders.add(folder)
            folder = folder.parent

    def reserve(self, name: str) -> None:
        """Create an empty file, which another process fills."""
        self._created(name).close()

    def _created(self, name: str) -> SyncedFile:
        try:
            file = create(self._place / name, self._mode)
        except OSError as error:
            raise unwritable(self.folder / name, error) from error
        self._made.append(name)  # now, since a name that is taken is another's
        return file

    @contextlib.contextmanager
    def commit(self) -> Iterator[BinaryIO]:
        """Yield the last file, which, once in place, makes the new set the live one."""
        sync_folder(self._place)
        with replacing(self._place / self.last) as file:
            self._committing = os.fstat(file.fileno())
            yield file
            self._require_own()

    def _require_own(self) -> None:
        """Refuse to commit a set that lacks a file; without locks, another save can remove one."""
        there = set(self.names())
        for name in self._made:
            if name not in there:
                raise FormatError(
                    self.folder / name,
                    "another program removed it before the save was done",
                    "save again, and do not save to one folder twice at once",
                )

    def _is_committed(self) -> bool:
        """Whether the last file is in place.

        The file itself tells: an interruption may come between the rename and whatever is next.
        """
        try:
            there = os.lstat(self._place / self.last)
        except FileNotFoundError:
            return False
        except OSError:  # nobody knows, so nothing is removed
            return True
        return self._committing is not None and os.path.samestat(self._committing, there)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files of the old set; one that is open elsewhere stays until the next save.

        Without locks, one that is not as it was when the set was begun stays: it is another's.
        """
        self._unlink(
            name for name in names if self.locked or self._before.get(name) == self._identity(name)
        )

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self._place / name)

    def _identity(self, name: str) -> tuple[int, ...]:
        """Return what tells a file from one that is later put in its place, () if it is absent."""
        try:
            known = os.lstat(self._place / name)
        except OSError:
            return ()
        return known.st_ino, known.st_size, known.st_mtime_ns


@contextlib.contextmanager
def file_set(folder: Path, last: str) -> Iterator[FileSet]:
    """Yield the set of files to write in a folder, made if absent; a failure leaves none.

    A second save of the same folder waits until the first is done.
    """
    files = FileSet(folder, last)
    try:
        files.begin()
        yield files
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        files.end()

"""The files of one folder below that of a checkpoint, by their names in it."""

from __future__ import annotations

import contextlib
import os
from itertools import islice

from caten_sd.state.source import Folder, Source

_MOST_ENTRIES = 100_000  # of a folder that is listed


class FolderBelow:
    """A folder below that of a checkpoint, or that folder itself, whose ``place`` is "".

    The checkpoint's folder opens all files, so that it bounds and closes them.
    """

    def __init__(self, folder: Folder, place: str = "") -> None:
        self._folder, self.place = folder, place
        self._start = f"{place}/" if place else ""
        self._root = f"{folder.path}/{self._start}"
        self.name = f"{folder.name.rstrip('/')}/{place}" if place else folder.name

    @property
    def last(self) -> str:
        """The last part of its path."""
        return (self._folder.path / self.place).name

    def below(self, name: str) -> FolderBelow:
        """Return a folder in this one."""
        return FolderBelow(self._folder, self._start + name)

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name is in it."""
        # Paths take long to check, and who opens what is there is refused those that lead outside.
        return os.path.isfile(self._root + name) or self._folder.has(self._start + name)

    def stat(self, name: str) -> os.stat_result | None:
        """Return what the system says of a regular file; None if there is none of that name."""
        with contextlib.suppress(OSError):
            return os.stat(self._root + name) if self.has(name) else None
        return None

    def member(self, name: str, *, held: bool = False) -> Source:
        """Open a file, by default without a handle of its own; FormatError for one outside."""
        return self._folder.member(self._start + name, held=held)

    def files(self) -> list[str]:
        """Return the names of its files, sorted."""
        return sorted(entry.name for entry in self._entries() if entry.is_file())

    def folders(self) -> list[str]:
        """Return the names of its folders, sorted; links are left out."""
        entries = self._entries()
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def _entries(self) -> list[os.DirEntry[str]]:
        with contextlib.suppress(OSError), os.scandir(self._folder.path / self.place) as entries:
            return list(islice(entries, _MOST_ENTRIES))
        return []

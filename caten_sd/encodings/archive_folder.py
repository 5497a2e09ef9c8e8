"""An archive as a folder of its members; none is ever extracted under its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder, Source
from caten_sd.wording import first_few


class ArchivedSource(Source):
    """A member of an archive; it is never opened as an archive itself."""

    __slots__ = ()


class Member(NamedTuple):
    """A member's entry: file, folder, link or device; ``open`` returns the bytes of a file."""

    kind: str
    size: int
    open: Callable[[], Source]


class ArchiveFolder(Folder):
    """The members of an archive below one of its folders."""

    kind = "archive"

    def __init__(self, name: str, members: Mapping[str, Member], index: str = "") -> None:
        self.name, self._members, self.index = name, dict(members), index
        self._opened = {}

    def names(self) -> list[str]:
        """Return the names of all members but folders, in the archive's order."""
        return [name for name, member in self._members.items() if member.kind != "folder"]

    def has(self, name: str) -> bool:
        """Return whether there is a plain file of that name."""
        return name in self._members and self._members[name].kind == "file"

    def size(self, name: str) -> int:
        """Return a member's size in bytes; 0 if it is not a file."""
        return self._members[name].size if self.has(name) else 0

    def member(self, name: str, *, held: bool = True) -> Source:
        """Return a file's bytes; FormatError for a link, a device or an absent member."""
        known = self._members.get(name)
        if known is None:
            raise FormatError(
                self.name, f"it has no member {name!r}", f"it has {first_few(self.names(), 8)}"
            )
        if known.kind != "file":
            raise FormatError(
                f"{self.name}::{name}", f"it is a {known.kind}, and only plain files are read"
            )
        if name not in self._opened:
            self._opened[name] = known.open()
        return self._opened[name]

    def subfolder(self, path: str, index: str = "") -> ArchiveFolder:
        """Return the folder at that path in the archive."""
        start = f"{path}/" if path else ""
        found = {n.removeprefix(start): m for n, m in self._members.items() if n.startswith(start)}
        name = f"{self.name}::{path}" if path else self.name
        return ArchiveFolder(name, found, index)

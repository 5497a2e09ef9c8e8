"""An archive as a folder: its members by their names, none of them ever written under its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder, Source
from caten_sd.wording import first_few


class ArchivedSource(Source):
    """A member of an archive, which is not looked into as an archive itself."""

    __slots__ = ()


class Member(NamedTuple):
    """What an archive says of a member; ``open`` gives the bytes of a file."""

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
        """Return the members' names, folders left out, in the archive's order."""
        return [name for name, member in self._members.items() if member.kind != "folder"]

    def has(self, name: str) -> bool:
        """Tell whether there is a plain file of that name."""
        return name in self._members and self._members[name].kind == "file"

    def size(self, name: str) -> int:
        """Return a member's size in bytes; 0 where there is none."""
        return self._members[name].size if self.has(name) else 0

    def member(self, name: str, *, held: bool = True) -> Source:
        """Return a member's bytes; FormatError for a link, a device and what is not there."""
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

    def below(self, prefix: str, index: str = "") -> ArchiveFolder:
        """Return the folder of that name in the archive."""
        start = f"{prefix}/" if prefix else ""
        inside = {n.removeprefix(start): m for n, m in self._members.items() if n.startswith(start)}
        name = f"{self.name}::{prefix}" if prefix else self.name
        return ArchiveFolder(name, inside, index)

"""Read what a save wrote before it takes its target's place."""

from __future__ import annotations

from pathlib import Path

from caten_sd.files.checkpoint import is_index, read_source
from caten_sd.files.leftovers import MARK
from caten_sd.state.source import Folder, Source, open_file
from caten_sd.state.state_dict import StateDict


class UncommittedSet(Folder):
    """A folder as it will be when ``last``, which has a hidden name yet, is its index."""

    def __init__(self, target: Path, last: Path) -> None:
        super().__init__(target.parent, target.name, streaming=True)
        self._last = last.name

    def names(self) -> list[str]:
        """Return the names of the folder's own files, as they will be."""
        there = {name for name in super().names() if not name.endswith(MARK)}
        return sorted({*there, self.index})

    def member(self, name: str, *, held: bool = True) -> Source:
        """Open a file below the folder; errors call the index by the name that it will have."""
        source = super().member(name, held=held)
        return Source.of(source, self.name) if name == self.index else source

    def _relative(self, name: str) -> Path:
        return super()._relative(self._last if name == self.index else name)


def read_uncommitted(written: Path, target: Path) -> StateDict:
    """Open the file, the folder or the last file of a set that is to be renamed to ``target``.

    Errors call it by the name that it will have.
    """
    source: Folder | Source
    if written.is_dir():
        source = Folder(written, streaming=True)
        source.name = str(target)
    elif is_index(target):
        source = UncommittedSet(target, written)
    else:
        source = Source.of(open_file(written, streaming=True), str(target))
    return read_source(source, target)

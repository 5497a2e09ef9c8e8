"""The lowest nodes of an OCDBT tree: keys, each with a value that is in the node or in a file."""

from __future__ import annotations

from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.ocdbt_keys import read_keys
from caten_sd.formats.orbax.ocdbt_places import FileTable, data_file
from caten_sd.formats.orbax.varint_columns import Columns
from caten_sd.state.backing import BytesBacking
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

_ENTRY = 64  # bytes that an entry takes, besides its key


class LeafNode:
    """Keys in order, each with a value: some bytes of a file, or bytes in the node itself."""

    def __init__(
        self,
        folder: FolderBelow,
        columns: Columns,
        files: FileTable,
        prefix: bytes,
        memory: HeaderMemory,
    ) -> None:
        self._folder, self._paths = folder, files.paths
        self._opened: dict[int, Source] = {}
        self.keys, _ = read_keys(columns, prefix, memory, interior=False)
        memory.take(_ENTRY * len(self.keys))
        self._read_places(columns)
        self._read_inline(columns)
        columns.end()

    def _read_places(self, columns: Columns) -> None:
        import numpy as np

        count = len(self.keys)
        self._lengths = columns.varints(count)
        self._kinds = np.frombuffer(columns.take(count), np.uint8)
        if (kind := int(self._kinds.max())) > 1:
            columns.refuse(f"a value in it is of the unknown kind {kind}")
        apart = np.flatnonzero(self._kinds)
        self._files, self._starts = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
        self._files[apart] = columns.varints(len(apart))
        self._starts[apart] = columns.varints(len(apart))
        if len(apart) and (number := int(self._files[apart].max())) >= len(self._paths):
            columns.refuse(f"it names file {number} of {len(self._paths)}")

    def _read_inline(self, columns: Columns) -> None:
        import numpy as np

        inside = np.flatnonzero(self._kinds == 0)
        sizes = self._lengths[inside]
        if len(inside) and int(sizes.max()) > len(columns.body):
            columns.refuse("a value in it is longer than it")
        self._starts[inside] = np.cumsum(sizes, dtype=np.uint64) - sizes
        self._inline = columns.take(int(sizes.sum()))

    def position(self, key: bytes) -> int:
        """Return the position of the first key that is not before this one."""
        return self.keys.position(key)

    def size(self, at: int) -> int:
        """Return how many bytes a value has."""
        return int(self._lengths[at])

    def source(self, at: int, name: str) -> Source:
        """Return the bytes of a value, unread."""
        start, length = int(self._starts[at]), int(self._lengths[at])
        label = f"{self._folder.name}, {name}"
        if not self._kinds[at]:
            return Source(label, BytesBacking(self._inline[start : start + length]), 0, length)
        number = int(self._files[at])
        if number not in self._opened:
            self._opened[number] = data_file(self._folder, self._paths[number])
        return self._opened[number].window(start, length, label)

    @property
    def stored(self) -> int:
        """The bytes of all values, about."""
        return int(self._lengths.astype(float).sum())

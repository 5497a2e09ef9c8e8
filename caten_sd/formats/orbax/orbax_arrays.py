"""The leaves of an item: each array as it lies in its store, its chunks counted and not read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.array_stores import ArrayStore, FileStore, OcdbtStore
from caten_sd.formats.orbax.chunk_reading import ChunkReader, refuse_unspoken
from caten_sd.formats.orbax.chunked_tensor import ChunkedTensor
from caten_sd.formats.orbax.folder_below import FolderBelow
from caten_sd.formats.orbax.ocdbt import read_ocdbt
from caten_sd.formats.orbax.orbax_steps import MANIFEST_NAME
from caten_sd.formats.orbax.zarr2 import NAME as ZARR2
from caten_sd.formats.orbax.zarr2 import read_zarray
from caten_sd.formats.orbax.zarr3 import NAME as ZARR3
from caten_sd.formats.orbax.zarr3 import read_zarr_json
from caten_sd.formats.orbax.zarr_arrays import ZarrArray
from caten_sd.state.header_memory import HeaderMemory
from caten_sd.state.source import Source

_LEAF = 1500  # bytes that a leaf takes, with what it knows of its array
_LOOK = 400  # bytes, and with them time, that a look for a chunk that may be absent takes
_SHORT = 1000  # bytes of a text that is kept with what it says, and how many are
_KINDS: tuple[tuple[str, Callable[[Source], ZarrArray]], ...] = (
    (ZARR2, read_zarray),
    (ZARR3, read_zarr_json),
)


def store_of(folder: FolderBelow, memory: HeaderMemory, *, is_ocdbt: bool) -> ArrayStore:
    """Return the store of an item: OCDBT where there is a manifest, and else its files."""
    if folder.has(MANIFEST_NAME):
        return OcdbtStore(read_ocdbt(folder, memory))
    parts = [name for name in folder.folders() if name.startswith("ocdbt.process_")]
    if parts or is_ocdbt:
        has = f"it has {parts[0]} but no" if parts else "it has no"
        raise FormatError(
            folder.name,
            f"{has} {MANIFEST_NAME}, which says where its arrays are and is written late in a save",
            "get all files of the folder again, or take another checkpoint",
        )
    return FileStore(folder)


class ArrayLeaves:
    """Makes the leaves of one item; FormatError where an array or a chunk of it is missing.

    ``sparse`` says that chunks of nothing but the fill value may be absent.
    """

    def __init__(
        self, folder: FolderBelow, store: ArrayStore, memory: HeaderMemory, *, sparse: bool
    ) -> None:
        self._folder, self._store, self._sparse = folder, store, sparse
        self._memory = memory
        self._absent = 0  # bytes of all chunks that are not stored
        self._read_before: dict[bytes, ZarrArray] = {}

    def leaf(self, name: str) -> Any:
        """Return the leaf of the array with this name."""
        self._memory.take(_LEAF)
        start = f"{name}/" if name else ""  # an array that was saved by itself has no name
        array = self._array(name, start)
        reader = ChunkReader(self._store, start, array, sparse=self._sparse)
        found = self._count(start, array, reader)
        first = (0,) * len(array.shape)
        if found == 1 and array.is_plain and array.grid == (1,) * len(array.shape):
            return reader.chunk(first)
        return ChunkedTensor(array.dtype, reader, [range(size) for size in array.shape])

    def _array(self, name: str, start: str) -> ZarrArray:
        for file, read in _KINDS:
            source = self._store.find(start + file)
            if source is not None:
                self._memory.add(source.size)
                return self._read(source, read)
        raise FormatError(
            self._folder.name,
            f"the array {name!r} is missing",
            "get all files of the folder again, or take another checkpoint",
        )

    def _read(self, source: Source, read: Callable[[Source], ZarrArray]) -> ZarrArray:
        """Return what the metadata of an array says, which is often the same text."""
        text = source.head(_SHORT)
        if text not in self._read_before:
            array = read(source)
            if len(text) < _SHORT and len(self._read_before) < _SHORT:
                self._read_before[text] = array
            return array
        return self._read_before[text]._replace(name=source.name)

    def _count(self, start: str, array: ZarrArray, reader: ChunkReader) -> int:
        """Return how many chunks an array has; refuse it if others are missing."""
        total = math.prod(array.grid)
        if not total or self._store.has_many(start, total + 1):
            return total
        if self._sparse:
            self._memory.take(_LOOK * total)
        found = 0
        for at in range(total):
            numbers = _numbers(at, array.grid)
            key = reader.key(numbers)
            if self._store.holds(key):
                found += 1
            elif not self._sparse:
                reader.refuse_missing(numbers, array.chunks, key)
        if array.inner and found < total:  # each of the chunks within takes time
            count = math.prod(array.chunks) // math.prod(array.inner.chunks)
            self._memory.take(_LOOK * (total - found) * count)
        self._absent += (total - found) * math.prod(array.chunks) * array.itemsize
        refuse_unspoken(array.name, self._absent, self._store.stored)
        return found


def _numbers(at: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of the chunk at this position, in C order."""
    numbers = []
    for count in reversed(grid):
        at, number = divmod(at, count)
        numbers.append(number)
    return tuple(reversed(numbers))

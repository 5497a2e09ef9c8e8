"""The leaves of an item: each array as it lies in its store, its chunks counted and not read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.array_stores import ArrayStore, FileStore, OcdbtStore
from caten_sd.formats.orbax.chunk_reading import ChunkReader, refuse_missing
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
_MOST_LOOKS = 1_000_000  # chunks that are looked for, one by one, in one array
_KINDS: tuple[tuple[str, Callable[[Source], ZarrArray]], ...] = (
    (ZARR2, read_zarray),
    (ZARR3, read_zarr_json),
)


def store_of(folder: FolderBelow, memory: HeaderMemory) -> ArrayStore:
    """Return the store of an item: OCDBT where there is a manifest, and else its files."""
    if folder.has(MANIFEST_NAME):
        return OcdbtStore(read_ocdbt(folder, memory))
    parts = [name for name in folder.folders() if name.startswith("ocdbt.process_")]
    if parts:
        raise FormatError(
            folder.name,
            f"it has {parts[0]} but no {MANIFEST_NAME}, which joins the parts of all processes at "
            f"the end of a save",
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

    def leaf(self, name: str) -> Any:
        """Return the leaf of the array with this name."""
        self._memory.take(_LEAF)
        array = self._array(name)
        reader = ChunkReader(self._store, name, array, sparse=self._sparse)
        self._count(name, array, reader)
        whole = not array.codecs and not array.inner and array.is_plain
        if whole and array.grid == (1,) * len(array.shape):
            chunk = reader.chunk((0,) * len(array.shape))
            if not self._sparse or self._store.holds(reader.key((0,) * len(array.shape))):
                return chunk
        return ChunkedTensor(array.dtype, reader, [range(size) for size in array.shape])

    def _array(self, name: str) -> ZarrArray:
        for file, read in _KINDS:
            source = self._store.find(f"{name}/{file}")
            if source is not None:
                self._memory.add(source.size)
                return read(source)
        raise FormatError(
            self._folder.name,
            f"the array {name!r} is missing",
            "get all files of the folder again, or take another checkpoint",
        )

    def _count(self, name: str, array: ZarrArray, reader: ChunkReader) -> None:
        """Refuse an array that lacks chunks, unless they may be absent."""
        total = math.prod(array.grid)
        known = self._store.count(f"{name}/")
        if known is not None and (known > total or not total):
            return
        most = total if known is None else min(total, known + 1)
        if most > _MOST_LOOKS:
            raise FormatError(
                array.name, f"it is of {total:,} chunks", "save it again with larger chunks"
            )
        found = 0
        for numbers in itertools.islice(itertools.product(*map(range, array.grid)), most):
            key = reader.key(numbers)
            if self._store.holds(key):
                found += 1
            elif not self._sparse:
                refuse_missing(array.name, key)
        reader.require_filled(total - found)

"""npz: a zip file of .npy members, one array each, as numpy.savez writes it.

numpy cannot read a member lazily, or a dtype that it lacks. An array of such a dtype is written as
raw bytes; a small array of JSON, ``__caten_sd__``, records its dtype, and ties and metadata.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from caten_sd.encodings.npy import (
    MAGIC,
    START,
    npy_can_hold,
    npy_header,
    npy_header_bytes,
    numpy_lacks,
)
from caten_sd.encodings.zip_archive import ZipArchive, zip_names
from caten_sd.encodings.zip_directory import STORED, ZipEntry, is_unsafe
from caten_sd.encodings.zip_output import ZipOutput
from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.array_objects import array_contents
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.sidecar import EMPTY, MAX_RECORD, RECORD, Sidecar, parse_sidecar, sidecar_of
from caten_sd.files.stored_specs import refuse_surrogates, stored_specs
from caten_sd.state.columns import are_distinct
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Opaque
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.pieces import reported_pieces
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict
from caten_sd.wording import counted

_USUAL_HEADER = 1 << 7  # bytes of what numpy writes
_MOST_HEADER = 1 << 10  # bytes of a header of which equal ones are looked for
_MOST_KNOWN = 1 << 14  # headers that are remembered


class Npz(Format):
    """A zip file of .npy members."""

    name = "npz"
    suffixes = (".npz",)
    sources = ("file",)
    member_names = r"\A([^\0]*\.npy\0)+\Z"


@recognize.register(Npz, Source)
def _recognize(format: Npz, source: Source, /) -> str | None:
    if source.head(2) != b"PK":
        return None
    arrays = sum(name.endswith(".npy") for name in zip_names(source))
    return f"a zip file of {counted(arrays, '.npy member')}" if arrays else None


@read.register(Npz, Source)
def _read(format: Npz, source: Source, /) -> Contents:
    archive = ZipArchive.of(source)
    record = _record(archive)
    arrays = _Arrays(archive)
    imports: dict[str, bool] = {}
    for position, name in enumerate(archive.entries.names):
        key = name.removesuffix(".npy")
        if key == RECORD or name[-1] == "/":
            continue
        entry = archive.entries.at(position)
        if key in record.dtypes or not arrays.add_stored(key, position, entry):
            found = _member(archive, entry)
            arrays.add(key, record.typed(key, found.tree))
            imports.update(found.imports)
    leaves = arrays.leaves()
    record.add_ties(leaves, source.name)
    return Contents(leaves, record.metadata, record.ties or None, imports=imports)


class _Arrays:
    """The arrays of a file in columns; of equal headers in members not compressed, one is read.

    ``_alike`` has a leaf with the same header where ``_starts`` says where a member's bytes begin,
    and the leaf itself elsewhere.
    """

    def __init__(self, archive: ZipArchive) -> None:
        self._archive = archive
        self._known: dict[bytes, tuple[LazyTensor, int]] = {}
        self._usual = _USUAL_HEADER  # bytes that a header is likely to have
        self._keys: list[str] = []
        self._alike: list[Any] = []
        self._positions, self._starts = array("q"), array("q")

    def add(self, key: str, leaf: Any, position: int = -1, start: int = -1) -> None:
        """Add an array: its leaf, or one alike and where it is."""
        self._keys.append(key)
        self._alike.append(leaf)
        self._positions.append(position)
        self._starts.append(start)

    def add_stored(self, key: str, position: int, entry: ZipEntry) -> bool:
        """Add what is known of an array, and return True if a leaf with the same header is."""
        if entry.method != STORED or entry.size < START or not entry.raw_name.endswith(b".npy"):
            return False
        start = self._archive.data_start(entry)
        header = self._header(entry, start)
        if header is None:
            return False
        known = self._known.get(header)
        if known is None:
            leaf = _member(self._archive, entry).tree
            if not isinstance(leaf, LazyTensor) or leaf.offset != len(header):
                return False
            known = self._remember(header, leaf)
        if known[1] != entry.size:
            return False
        self.add(key, known[0], position, start)
        return True

    def _header(self, entry: ZipEntry, start: int) -> bytes | None:
        """Return the header of an array, with what is before its text; None if it is long."""
        heads = self._archive.heads
        header = heads.read(start, min(self._usual, entry.size))
        size = START + int.from_bytes(header[START - 2 : START], "little")
        if size > min(entry.size, _MOST_HEADER):
            return None
        if size != len(header):
            header, self._usual = heads.read(start, size), size
        return header

    def _remember(self, header: bytes, leaf: LazyTensor) -> tuple[LazyTensor, int]:
        """Keep a leaf by its header, and the size of a member that has it."""
        if len(self._known) == _MOST_KNOWN:
            self._known.clear()
        return self._known.setdefault(header, (leaf, leaf.offset + leaf.extent))

    def leaves(self) -> LeafTable | dict[str, Any]:
        """Return the leaves, each made when it is asked for if all of the file are tensors."""
        keys = self._keys
        if not are_distinct(keys):  # "w" and "w.npy"
            ((key, _),) = Counter(keys).most_common(1)
            problem = f"it has two members for the key {key!r}"
            raise FormatError(self._archive.source.name, problem, "get it again")
        if all(isinstance(leaf, LazyLeaf) for leaf in self._alike):
            return LeafTable(keys, self._leaf)
        return {key: self._leaf(number) for number, key in enumerate(keys)}

    def _leaf(self, number: int) -> Any:
        alike, start = self._alike[number], self._starts[number]
        if start < 0:
            return alike
        entry = self._archive.entries.at(self._positions[number])
        backing = _VerifiedBacking(self._archive.window(entry, start), alike.offset, entry.crc)
        source = Source(f"{self._archive.source.name}:{entry.name}", backing, 0, entry.size)
        return LazyTensor(
            source, alike.offset, alike.dtype, alike.shape, alike.strides, alike.order
        )


def _record(archive: ZipArchive) -> Sidecar:
    name = f"{RECORD}.npy"
    if name not in archive.names():  # a search of a list, for which no dict is made
        return EMPTY
    text = archive.read(name, limit=MAX_RECORD)
    start = npy_header(archive.member(name)).start
    return parse_sidecar(text[start:], f"{archive.source.name}:{name}")


def _member(archive: ZipArchive, entry: ZipEntry) -> Contents:
    """Return a member's array; its checksum is compared once all of it has been read."""
    source = archive.member_of(entry)
    if not entry.name.endswith(".npy") and source.head(len(MAGIC)) != MAGIC:
        return Contents(Opaque("a member that is not an array"), {})
    header = npy_header(source)
    if entry.method == STORED:  # the archive itself checks what it inflates
        backing = _VerifiedBacking(source, header.start, entry.crc)
        source = Source(source.name, backing, 0, source.size)
    return array_contents(source, header)


class _VerifiedBacking:
    """A member whose checksum is compared once all of its data has been read in order."""

    def __init__(self, source: Source, start: int, crc: int) -> None:
        self._source, self._crc, self._start, self._at = source, crc, start, start
        self._so_far = 0

    @property
    def mapped(self) -> bool:
        return self._at == self._source.size and self._source.mapped

    def view(self, start: int, count: int) -> memoryview:
        data = self._source.view(start, count)
        self._take(start, data)
        return data

    def read(self, start: int, count: int) -> bytes:
        data = self._source.read(start, count)
        self._take(start, data)
        return data

    def _take(self, start: int, data: bytes | memoryview) -> None:
        if self._at == self._source.size:  # it has been compared once
            return
        if start == self._start:
            self._at, self._so_far = start, zlib.crc32(self._source.read(0, start))
        if start != self._at:
            return
        self._so_far = zlib.crc32(data, self._so_far)
        if start + len(data) == self._source.size and self._so_far != self._crc:
            raise FormatError(
                self._source.name,
                "it does not match its checksum",
                "it is damaged, so get it again",
            )
        self._at += len(data)

    def close(self) -> None:
        self._source.close()


@write.register(Npz)
def _write(format: Npz, target: BinaryIO, state_dict: StateDict, /) -> None:
    specs = stored_specs(format, state_dict, npy_can_hold)
    refuse_surrogates(format.name, specs)
    for key in specs:
        if key == RECORD or is_unsafe(key):
            raise StateDictError(f"{key!r} cannot be the name of a member of an .npz; rename it")
    output = ZipOutput(target)
    for key, known in specs.items():
        header = npy_header_bytes(known.dtype, known.shape)
        data: Iterator[bytes | memoryview] = chain([header], reported_pieces(state_dict[key]))
        output.add(f"{key}.npy", len(header) + known.nbytes, data)
    if record := sidecar_of(state_dict, specs, numpy_lacks):
        text = record.to_json()
        header = npy_header_bytes(DTYPES["uint8"], [len(text)])
        output.add(f"{RECORD}.npy", len(header) + len(text), [header, text])
    output.finish()

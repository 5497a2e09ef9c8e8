"""The header of a GGUF file: metadata and the table of tensors, read by our own code.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, either byte
order. gguf-py's GGUFReader makes several numpy arrays for every string and takes 9 s to open a
vocabulary of 262,144; this takes 0.05 s, compares every length with the bytes left, and needs no
numpy. It is the oracle of the tests.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.blocks.block_types import BlockType, block_types
from caten_sd.errors import FormatError
from caten_sd.files.diagnosis import foreign_kind
from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.formats.gguf.values import TYPES, read_value
from caten_sd.state.leaf import DTYPES, DType
from caten_sd.state.source import Source

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32
MAX_RANK = 4  # ggml's own limit
MAX_COUNT = 1 << 60  # elements, an empty axis taken as one; numpy counts bytes in 63 bits

DENSE = {
    0: DTYPES["float32"],
    1: DTYPES["float16"],
    24: DTYPES["int8"],
    25: DTYPES["int16"],
    26: DTYPES["int32"],
    27: DTYPES["int64"],
    28: DTYPES["float64"],
    30: DTYPES["bfloat16"],
}


class TensorInfo(NamedTuple):
    """One row of the table of tensors; ``shape`` is row-major, ``offset`` counts from the data."""

    name: str
    shape: tuple[int, ...]
    type: DType | BlockType
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's data."""
        dtype = self.type if isinstance(self.type, DType) else self.type.dtype
        return dtype.nbytes(math.prod(self.shape))


class Header(NamedTuple):
    """What a GGUF file says before its data, which begins at byte ``start``."""

    order: str
    metadata: Mapping[str, Any]
    entries: list[TensorInfo]
    start: int


@functools.cache
def blocks_by_number() -> Mapping[int, BlockType]:
    """Return every block type by its number in GGUF."""
    return {each.gguf: each for each in block_types().values()}


def read_header(source: Source) -> Header:
    """Return the header; FormatError for anything that is not well-formed, naming key or tensor."""
    order = _byte_order(source)
    header = HeaderBytes(source, order, 8)
    tensors = header.u64("the number of tensors")
    pairs = header.u64("the number of metadata entries")
    _check_count(header, tensors, 25, "tensors")
    _check_count(header, pairs, 14, "metadata entries")
    metadata = _read_metadata(header, order, pairs)
    alignment = _alignment(header, metadata)
    entries = [_read_entry(header, order) for _ in range(tensors)]
    _check_names(header, entries)
    start = _aligned(header.at, alignment)
    _check_places(header, entries, source.size - start, alignment)
    return Header(order, metadata, entries, start)


def _byte_order(source: Source) -> str:
    head = source.head(8)
    if head[:4] != MAGIC or len(head) < 8:
        cut = head and MAGIC.startswith(head[:4])
        problem = "it ends in its first 8 bytes" if cut else "it does not begin as a GGUF file"
        raise foreign_kind(source) or FormatError(source.name, problem, "get it again")
    little, big = int.from_bytes(head[4:], "little"), int.from_bytes(head[4:], "big")
    if little in (2, VERSION):
        return "<"
    if big in (2, VERSION):
        return ">"
    raise FormatError(
        source.name,
        f"it is GGUF of version {min(little, big)}, and versions 2 and 3 are known",
        "convert it with a current llama.cpp",
    )


def _check_count(header: HeaderBytes, count: int, least: int, what: str) -> None:
    if count > header.left // least:
        header.refuse(f"it claims {count} {what}, and {header.left} bytes are left")


def _read_metadata(header: HeaderBytes, order: str, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for _ in range(count):
        key = header.text("a metadata key")
        if not key or key == TYPES:
            header.refuse(f"it has the metadata key {key!r}, which no file may use")
        if key in metadata:
            header.refuse(f"the metadata key {key!r} is given twice")
        metadata[key], types[key] = read_value(header, order, repr(key))
    if typed := {key: type for key, type in types.items() if type != "string"}:
        metadata[TYPES] = typed
    return metadata


def _alignment(header: HeaderBytes, metadata: Mapping[str, Any]) -> int:
    if ALIGNMENT not in metadata:
        return DEFAULT_ALIGNMENT
    alignment, type = metadata[ALIGNMENT], metadata.get(TYPES, {}).get(ALIGNMENT)
    if type != "uint32" or alignment & (alignment - 1) or not alignment:
        header.refuse(f"its {ALIGNMENT} is {alignment!r}, and a uint32 power of two is wanted")
    return int(alignment)


def _read_entry(header: HeaderBytes, order: str) -> TensorInfo:
    name = header.text("a tensor's name")
    if not name:
        header.refuse("it has a tensor without a name")
    rank = header.u32("the rank of a tensor")
    if rank > MAX_RANK:
        header.refuse(f"{name!r} has {rank} dimensions, and GGUF has at most {MAX_RANK}")
    *sizes, number, offset = header.unpack(_row(order, rank), f"the row of {name!r}")
    shape = tuple(reversed(sizes))
    if math.prod(filter(None, shape)) >= MAX_COUNT:
        header.refuse(f"{name!r} has the shape {list(shape)}, which no memory holds")
    type: DType | BlockType | None = DENSE.get(number) or blocks_by_number().get(number)
    if type is None:
        header.refuse(f"{name!r} has the unknown tensor type {number}")
    if isinstance(type, BlockType):
        _check_blocks(header, name, shape, type, order)
    return TensorInfo(name, shape, type, offset)


@functools.cache
def _row(order: str, rank: int) -> struct.Struct:
    """Return the layout of a tensor's row behind its rank: sizes, type, offset."""
    return struct.Struct(f"{order}{rank}QIQ")


def _check_blocks(
    header: HeaderBytes, name: str, shape: tuple[int, ...], type: BlockType, order: str
) -> None:
    if not shape or shape[-1] % type.elements:
        header.refuse(
            f"{name!r} is {type.name} {list(shape)}, and its rows are no whole blocks of "
            f"{type.elements}"
        )
    if order == ">" and type.halves is None:
        raise FormatError(
            header.source.name,
            f"{name!r} is {type.name}, for which no tool defines a big-endian form",
            "get the little-endian file",
        )


def _check_names(header: HeaderBytes, entries: list[TensorInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            header.refuse(f"two tensors are called {entry.name!r}")
        seen.add(entry.name)


def _check_places(
    header: HeaderBytes, entries: list[TensorInfo], size: int, alignment: int
) -> None:
    """Refuse misplaced tensors, overlaps, holes, missing and trailing bytes.

    As in llama.cpp, each tensor begins at the first aligned byte behind the one before. Trailing
    bytes are refused, so that no data hides where nobody named it; padding is not looked at.
    """
    at, before = 0, "the header"
    for name, _, _, offset, nbytes in sorted(
        ((*entry, entry.nbytes) for entry in entries), key=lambda row: row[3:]
    ):
        if offset % alignment:
            header.refuse(f"{name!r} is at byte {offset} of the data, no multiple of {alignment}")
        if offset != at:
            kind = "overlap" if offset < at else "leave a hole"
            header.refuse(f"{before!r} and {name!r} {kind} at byte {offset} of the data")
        if nbytes > size - offset:
            short = nbytes - (size - offset)
            header.refuse(f"it is {short} bytes short: {name!r} takes {nbytes} bytes")
        at, before = _aligned(offset + nbytes, alignment), name
    if at < size:
        header.refuse(f"{size - at} bytes follow the last tensor, {before!r}")


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment

"""The header of a GGUF file: its metadata and its table of tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, either byte
order. gguf-py's GGUFReader makes several numpy arrays for every string and takes 9 s to open a
vocabulary of 262,144. This reader takes 0.05 s, compares every length with the bytes left, and does
not need numpy. gguf-py is the oracle in the tests.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from caten_sd.blocks.block_types import BlockType, block_types
from caten_sd.errors import FormatError
from caten_sd.files.diagnosis import diagnose
from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.formats.gguf.values import TYPES, read_value
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.header_memory import ENTRY, LEAF, TEXT
from caten_sd.state.source import Source
from caten_sd.wording import counted

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32
MAX_RANK = 4  # the limit of ggml
MAX_COUNT = 1 << 60  # elements, counting an empty axis as one; numpy counts bytes in 63 bits

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
    """One row of the table of tensors; ``shape`` is row-major, ``offset`` is from the data on.

    ``type`` is the number in the file if it is of a newer GGUF and unknown here.
    """

    name: str
    shape: tuple[int, ...]
    type: DType | BlockType | int
    offset: int

    @property
    def nbytes(self) -> int:
        """The size of the tensor's data in bytes; of an unknown type, the least that it can be."""
        if isinstance(self.type, int):
            return min(1, math.prod(self.shape))
        dtype = self.type if isinstance(self.type, DType) else self.type.dtype
        return dtype.nbytes(math.prod(self.shape))


class Header(NamedTuple):
    """Everything before the data of a GGUF file; the data begins at byte ``start``."""

    order: str
    metadata: Mapping[str, Any]
    tensors: list[TensorInfo]
    start: int


@functools.cache
def blocks_by_number() -> Mapping[int, BlockType]:
    """Return all block types by their numbers in GGUF."""
    return {each.gguf: each for each in block_types().values()}


def read_header(source: Source) -> Header:
    """Return the header; FormatError names the key or the tensor that is not well-formed."""
    order = _byte_order(source)
    header = HeaderBytes(source, order, 8)
    tensor_count = header.u64("the number of tensors")
    entry_count = header.u64("the number of metadata entries")
    _check_count(header, tensor_count, 25, "tensors")
    _check_count(header, entry_count, 14, "metadata entries")
    metadata = _read_metadata(header, order, entry_count)
    alignment = _alignment(header, metadata)
    tensors = [_read_tensor(header, order) for _ in range(tensor_count)]
    _check_names(header, tensors)
    start = _aligned(header.at, alignment)
    _check_offsets(header, tensors, source.size - start, alignment)
    return Header(order, metadata, tensors, start)


def _byte_order(source: Source) -> str:
    head = source.head(8)
    if head[:4] != MAGIC or len(head) < 8:
        is_cut = head and MAGIC.startswith(head[:4])
        problem = "it ends in its first 8 bytes" if is_cut else "it does not begin with GGUF"
        raise diagnose(source) or FormatError(source.name, problem, "get it again")
    little, big = int.from_bytes(head[4:], "little"), int.from_bytes(head[4:], "big")
    if little in (2, VERSION):
        return "<"
    if big in (2, VERSION):
        return ">"
    raise FormatError(
        source.name,
        f"its GGUF version is {min(little, big)}, and only versions 2 and 3 can be read",
        "convert it with a current llama.cpp",
    )


def _check_count(header: HeaderBytes, count: int, least: int, what: str) -> None:
    if count > header.left // least:
        header.refuse(
            f"it claims {count} {what}, but {counted(header.left, 'byte is', 'bytes are')} left"
        )


def _read_metadata(header: HeaderBytes, order: str, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for _ in range(count):
        key = header.text("a metadata key")
        if not key or key == TYPES:
            header.refuse(f"it has the metadata key {key!r}, which is not allowed")
        if key in metadata:
            header.refuse(f"the metadata key {key!r} is given twice")
        metadata[key], types[key] = read_value(header, order, repr(key))
        header.remember(2 * ENTRY + TEXT)
    if typed := {key: type for key, type in types.items() if type != "string"}:
        metadata[TYPES] = typed
    return metadata


def _alignment(header: HeaderBytes, metadata: Mapping[str, Any]) -> int:
    if ALIGNMENT not in metadata:
        return DEFAULT_ALIGNMENT
    alignment, type = metadata[ALIGNMENT], metadata.get(TYPES, {}).get(ALIGNMENT)
    if type != "uint32" or alignment & (alignment - 1) or not alignment:
        header.refuse(f"its {ALIGNMENT} is {alignment!r}, and must be a power of two in a uint32")
    return int(alignment)


def _read_tensor(header: HeaderBytes, order: str) -> TensorInfo:
    name = header.text("a tensor's name")
    if not name:
        header.refuse("it has a tensor without a name")
    rank = header.u32("the rank of a tensor")
    if rank > MAX_RANK:
        header.refuse(f"{name!r} has {rank} dimensions, and GGUF allows at most {MAX_RANK}")
    *sizes, number, offset = header.unpack(_row(order, rank), f"the row of {name!r}")
    shape = tuple(reversed(sizes))
    if math.prod(filter(None, shape)) >= MAX_COUNT:
        header.refuse(f"{name!r} has the shape {list(shape)}, which is too large for any memory")
    type: DType | BlockType | int = DENSE.get(number) or blocks_by_number().get(number) or number
    if isinstance(type, BlockType):
        _check_blocks(header, name, shape, type, order)
    header.remember(LEAF + ENTRY)
    return TensorInfo(name, shape, type, offset)


@functools.cache
def _row(order: str, rank: int) -> struct.Struct:
    """Return the struct of a row of the table after its rank: sizes, type, offset."""
    return struct.Struct(f"{order}{rank}QIQ")


def _check_blocks(
    header: HeaderBytes, name: str, shape: tuple[int, ...], type: BlockType, order: str
) -> None:
    if not shape or shape[-1] % type.elements:
        header.refuse(
            f"{name!r} is {type.name} {list(shape)}, and its rows do not divide into blocks of "
            f"{type.elements}"
        )
    if order == ">" and type.halves is None:
        raise FormatError(
            header.source.name,
            f"{name!r} is {type.name}, for which no tool defines a big-endian form",
            "get the little-endian file",
        )


def _check_names(header: HeaderBytes, tensors: list[TensorInfo]) -> None:
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            header.refuse(f"two tensors are called {tensor.name!r}")
        seen.add(tensor.name)


def _check_offsets(
    header: HeaderBytes, tensors: list[TensorInfo], size: int, alignment: int
) -> None:
    """Refuse misaligned tensors, overlaps, holes, missing bytes and trailing bytes.

    As in llama.cpp, each tensor begins at the first aligned byte after the one before. Trailing
    bytes are refused, because data could hide in them; padding is not checked. A tensor of an
    unknown type extends to the next one, or to the end.
    """
    at, before, is_known = 0, "the header", True
    for name, _, type, offset, nbytes in sorted(
        ((*tensor, tensor.nbytes) for tensor in tensors), key=lambda row: row[3:]
    ):
        if offset % alignment:
            header.refuse(
                f"{name!r} is at byte {offset} of the data, not at a multiple of {alignment}"
            )
        if offset < at or (offset != at and is_known):
            kind = "overlap" if offset < at else "leave a hole"
            header.refuse(f"{before!r} and {name!r} {kind} at byte {offset} of the data")
        if nbytes > size - offset:
            short = nbytes - (size - offset)
            header.refuse(
                f"it is {counted(short, 'byte')} short: {name!r} takes {counted(nbytes, 'byte')}"
            )
        at, before, is_known = _aligned(offset + nbytes, alignment), name, not isinstance(type, int)
    if at < size and is_known:
        header.refuse(
            f"{counted(size - at, 'byte follows', 'bytes follow')} the last tensor, {before!r}"
        )


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment

"""The table of tensors in a GGUF header, in columns: what tensors of one shape share is there once.

A row that is short, or odd in any way, is read by the functions that check each value and name it.
"""

from __future__ import annotations

import functools
import math
import struct
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from caten_sd.blocks.block_types import BlockType, block_types
from caten_sd.errors import FormatError
from caten_sd.formats.gguf.bounds import HeaderBytes
from caten_sd.state.columns import are_distinct
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.header_memory import ENTRY, LEAF
from caten_sd.wording import counted

MAX_RANK = 4  # the limit of ggml
MAX_COUNT = 1 << 60  # elements, counting an empty axis as one; numpy counts bytes in 63 bits
_MOST_KINDS = 1 << 14  # that are remembered
_place = itemgetter(0, 1)

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


class TensorKind(NamedTuple):
    """What all tensors of one type and shape share; ``shape`` is row-major.

    ``type`` is the number in the file if it is of a newer GGUF and unknown here. ``nbytes`` is then
    the least that it can be.
    """

    shape: tuple[int, ...]
    type: DType | BlockType | int
    nbytes: int


class TensorTable(NamedTuple):
    """The rows of the table in columns; an offset is from the data on."""

    names: list[str]
    kinds: list[TensorKind]
    offsets: list[int]

    def distinct_kinds(self) -> Collection[TensorKind]:
        """Return each kind of tensor once."""
        return {id(kind): kind for kind in self.kinds}.values()


@functools.cache
def blocks_by_number() -> Mapping[int, BlockType]:
    """Return all block types by their numbers in GGUF."""
    return {each.gguf: each for each in block_types().values()}


def read_tensors(header: HeaderBytes, order: str, count: int) -> TensorTable:
    """Return the table; FormatError names the tensor that is not well-formed."""
    table = TensorTable([], [], [])
    known: dict[bytes, TensorKind] = {}
    while len(table.names) < count:
        _add_known(header, order, table, known, count)
        if len(table.names) < count:
            name, stored, kind, offset = _read_tensor(header, order)
            if len(known) == _MOST_KINDS:
                known.clear()
            known[stored] = kind
            table.names.append(name)
            table.kinds.append(kind)
            table.offsets.append(offset)
    if not are_distinct(table.names):
        header.refuse(f"two tensors are called {Counter(table.names).most_common(1)[0][0]!r}")
    return table


def _add_known(
    header: HeaderBytes, order: str, table: TensorTable, known: dict[bytes, TensorKind], count: int
) -> None:
    """Add the next rows to the table, up to one whose kind is not known, or that is malformed."""
    long, short = struct.Struct(f"{order}Q").unpack_from, struct.Struct(f"{order}I").unpack_from
    names, kinds, offsets = table
    view, at, before = header.view, header.at, len(names)
    try:
        for _ in range(count - len(names)):
            end = at + 8 + long(view, at)[0]
            stop = end + 8 + 8 * short(view, end)[0]
            (offset,) = long(view, stop)
            kind = known[bytes(view[end:stop])]
            name = str(view[at + 8 : end], "utf-8")
            if not name:
                break
            names.append(name)
            kinds.append(kind)
            offsets.append(offset)
            at = stop + 8
    except (struct.error, LookupError, OverflowError, UnicodeDecodeError):
        pass  # the next row is read again, and each of its values checked
    header.at = at
    header.remember((LEAF + ENTRY) * (len(names) - before))


def _read_tensor(header: HeaderBytes, order: str) -> tuple[str, bytes, TensorKind, int]:
    """Return the name, the stored rank, shape and type, what they mean, and the offset."""
    name = header.text("a tensor's name")
    if not name:
        header.refuse("it has a tensor without a name")
    start = header.at
    rank = header.u32("the rank of a tensor")
    if rank > MAX_RANK:
        header.refuse(f"{name!r} has {rank} dimensions, and GGUF allows at most {MAX_RANK}")
    *sizes, number, offset = header.unpack(_row(order, rank), f"the row of {name!r}")
    kind = _kind(header, name, tuple(reversed(sizes)), number, order)
    header.remember(LEAF + ENTRY)
    return name, bytes(header.view[start : header.at - 8]), kind, offset


@functools.cache
def _row(order: str, rank: int) -> struct.Struct:
    """Return the struct of a row of the table after its rank: sizes, type, offset."""
    return struct.Struct(f"{order}{rank}QIQ")


def _kind(
    header: HeaderBytes, name: str, shape: tuple[int, ...], number: int, order: str
) -> TensorKind:
    if math.prod(filter(None, shape)) >= MAX_COUNT:
        header.refuse(f"{name!r} has the shape {list(shape)}, which is too large for any memory")
    type: DType | BlockType | int = DENSE.get(number) or blocks_by_number().get(number) or number
    if isinstance(type, int):
        return TensorKind(shape, type, min(1, math.prod(shape)))
    if isinstance(type, BlockType):
        _check_blocks(header, name, shape, type, order)
    dtype = type if isinstance(type, DType) else type.dtype
    return TensorKind(shape, type, dtype.nbytes(math.prod(shape)))


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


def check_offsets(header: HeaderBytes, table: TensorTable, size: int, alignment: int) -> None:
    """Refuse misaligned tensors, overlaps, holes, missing bytes and trailing bytes.

    As in llama.cpp, each tensor begins at the first aligned byte after the one before. Trailing
    bytes are refused, because data could hide in them; padding is not checked. A tensor of an
    unknown type extends to the next one, or to the end.
    """
    if _is_in_order(table, size, alignment):
        return
    at, before, is_known = 0, "the header", True
    sizes = [kind.nbytes for kind in table.kinds]
    rows = sorted(zip(table.offsets, sizes, table.names, table.kinds, strict=True), key=_place)
    for offset, nbytes, name, kind in rows:
        if offset % alignment:
            header.refuse(
                f"{name!r} is at byte {offset} of the data, not at a multiple of {alignment}"
            )
        if offset < at or (offset != at and is_known):
            odd = "overlap" if offset < at else "leave a hole"
            header.refuse(f"{before!r} and {name!r} {odd} at byte {offset} of the data")
        if nbytes > size - offset:
            short = nbytes - (size - offset)
            header.refuse(
                f"it is {counted(short, 'byte')} short: {name!r} takes {counted(nbytes, 'byte')}"
            )
        at, before = aligned(offset + nbytes, alignment), name
        is_known = not isinstance(kind.type, int)
    if at < size and is_known:
        header.refuse(
            f"{counted(size - at, 'byte follows', 'bytes follow')} the last tensor, {before!r}"
        )


def _is_in_order(table: TensorTable, size: int, alignment: int) -> bool:
    """Return whether the data is in the order of the table and fills the file, as in most files."""
    kinds = table.distinct_kinds()
    if not kinds or any(isinstance(kind.type, int) for kind in kinds):
        return False
    room = {id(kind): aligned(kind.nbytes, alignment) for kind in kinds}
    starts = [0, *accumulate(map(room.__getitem__, map(id, table.kinds)))]
    end = starts.pop()
    return table.offsets == starts and starts[-1] + table.kinds[-1].nbytes <= size <= end


def aligned(at: int, alignment: int) -> int:
    """Return the first multiple of the alignment from here on."""
    return -(-at // alignment) * alignment

"""Lanes: bit fields and scales of many blocks at once, eight bytes in a machine word.

The families of block types are written with these functions. Arrays are C-contiguous; ``n`` counts
blocks. numpy is imported inside functions, so that block types can be named without it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

EVERY_BYTE = 0x0101010101010101
CACHED = 1 << 16  # values; their floats and scales stay in one core's cache


def field(blocks: Array, at: int, size: int) -> Array:
    """Return ``size`` bytes from byte ``at`` of every block as contiguous uint8 (n, size)."""
    column = blocks.reshape(-1).view(_record(at, size, blocks.shape[1]))["it"]
    gathered: Array = column.copy().view("u1").reshape(-1, size)
    return gathered


@functools.cache
def _record(at: int, size: int, total: int) -> Any:
    """Return a dtype whose field "it" is those bytes as one item."""
    import numpy as np

    names, formats, offsets = ["it"], [_item(size)], [at]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": total})


def _item(size: int) -> str:
    """Return the dtype of this many bytes that numpy copies fastest."""
    return {1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "c16"}.get(size, f"V{size}")


def halves(blocks: Array, at: int) -> Array:
    """Return the 16-bit float at byte ``at`` of every block as float32 (n, 1)."""
    return field(blocks, at, 2).view("<f2").astype("f4")


def bits(lanes: Array, at: int, width: int, to: int = 0) -> Array:
    """Return ``width`` bits of every byte, from bit ``at`` moved to bit ``to``, as uint8."""
    words = lanes.view("<u8")
    if at != to:
        words = words >> at - to if at > to else words << to - at
    words = words & (EVERY_BYTE * ((1 << width) - 1) << to)
    return words.view("u1")


def either(one: Array, other: Array) -> Array:
    """Return the bits of both, written into the first."""
    words = one.view("<u8")
    words |= other.view("<u8")
    return one


def interleave(arrays: list[Array]) -> Array:
    """Return uint8 arrays (rows, width) joined row by row: (rows, len(arrays) * width)."""
    import numpy as np

    rows, width = arrays[0].shape
    joined = np.empty((rows, len(arrays) * width), np.uint8)
    for number, array in enumerate(arrays):
        place(joined, number * width, array)
    return joined


def place(lanes: Array, at: int, columns: Array) -> None:
    """Copy ``columns`` into ``lanes``, from byte ``at`` of every row.

    ``at`` and the width of ``lanes`` are multiples of the width of ``columns``.
    """
    width = columns.shape[1]
    item = _item(width)
    lanes.view(item)[:, at // width] = columns.view(item)[:, 0]


def products(halves: Array, numbers: Array) -> Array:
    """Return every block's float times its small integers, as float32 like ``numbers``."""
    scales: Array = numbers.astype("f4")
    flat = scales.reshape(-1)
    flat *= halves.reshape(-1).repeat(flat.size // halves.size)
    return scales


def scale(out: Array, lanes: Array, scales: Array, offsets: Array | None = None) -> None:
    """Fill ``out`` with the lanes times the scale of their group, plus its offset.

    Groups are runs of equally many values; ``scales`` and ``offsets`` have one float32 for each.
    """
    flat, group = out.reshape(-1), out.size // scales.size
    lanes, scales = lanes.reshape(-1), scales.reshape(-1)
    offsets = None if offsets is None else offsets.reshape(-1)
    for start in range(0, flat.size, CACHED):
        run = slice(start, start + CACHED)
        groups = slice(start // group, (start + CACHED) // group)
        values = flat[run]
        values[...] = lanes[run]
        values *= scales[groups].repeat(group)
        if offsets is not None:
            values += offsets[groups].repeat(group)


def lookup(table: Array, index: Array) -> Array:
    """Return ``table[index]``, for a table with an entry for every possible index."""
    # "clip" skips numpy's check of the bounds, which no index exceeds.
    return table.take(index, mode="clip")


def nibbles(packed: Array, values: tuple[int, ...]) -> Array:
    """Return the values of every row's low nibbles, then high ones: int8 (rows, 2 * width)."""
    low, high = _nibble_tables(values)
    pairs = packed.view("<u2")
    return interleave([lookup(table, pairs).view("u1") for table in (low, high)]).view("i1")


@functools.cache
def _nibble_tables(values: tuple[int, ...]) -> tuple[Array, Array]:
    """Return 65,536 pairs of int8: the values of two bytes' low nibbles, and of the high ones."""
    import numpy as np

    meaning = np.array(values, np.int8)
    pairs = np.arange(1 << 16, dtype="<u2").view(np.uint8).reshape(-1, 2)
    low, high = meaning[pairs & 15], meaning[pairs >> 4]
    return low.view("<u2").reshape(-1), high.view("<u2").reshape(-1)

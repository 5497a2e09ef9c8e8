"""Lanes: bit fields and scales of many blocks at once, eight bytes to a machine word.

What the files of ``blocks/`` are written in. Arrays are C-contiguous; ``n`` counts blocks. numpy is
imported in here alone, so that the classes of ``blocks/`` can be named without it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

EVERY_BYTE = 0x0101010101010101
CACHED = 1 << 16  # values whose floats and scales stay in the cache of one core


def field(blocks: Array, at: int, size: int) -> Array:
    """Return bytes ``at`` to ``at + size`` of every block as contiguous uint8 (n, size)."""
    column = blocks.reshape(-1).view(_record(at, size, blocks.shape[1]))["it"]
    gathered: Array = column.copy().view("u1").reshape(-1, size)
    return gathered


@functools.cache
def _record(at: int, size: int, total: int) -> Any:
    """Return a dtype whose field "it" is those bytes as one item, which numpy copies fastest."""
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
    """Return every byte's ``width`` bits from bit ``at`` upward, moved to bit ``to``, as uint8."""
    words = lanes.view("<u8")
    if at != to:
        words = words >> at - to if at > to else words << to - at
    words = words & (EVERY_BYTE * ((1 << width) - 1) << to)
    return words.view("u1")


def either(one: Array, other: Array) -> Array:
    """Return the bits of both, in the memory of the first."""
    words = one.view("<u8")
    words |= other.view("<u8")
    return one


def interleave(parts: list[Array]) -> Array:
    """Return the rows of (rows, width) uint8 parts in turn: (rows, len(parts) * width)."""
    import numpy as np

    rows, width = parts[0].shape
    joined = np.empty((rows, len(parts) * width), np.uint8)
    for number, part in enumerate(parts):
        place(joined, number * width, part)
    return joined


def place(lanes: Array, at: int, part: Array) -> None:
    """Set bytes ``at`` and on of every row of ``lanes`` to the rows of ``part``.

    ``at`` and the width of ``lanes`` are multiples of the width of ``part``.
    """
    width = part.shape[1]
    item = _item(width)
    lanes.view(item)[:, at // width] = part.view(item)[:, 0]


def products(halves: Array, numbers: Array) -> Array:
    """Return every block's float times its small integers, float32 of the shape of ``numbers``."""
    scales: Array = numbers.astype("f4")
    flat = scales.reshape(-1)
    flat *= halves.reshape(-1).repeat(flat.size // halves.size)
    return scales


def scale(out: Array, lanes: Array, scales: Array, offsets: Array | None = None) -> None:
    """Fill ``out`` with lanes times their group's scale, plus their group's offset.

    Groups are equal runs of values; ``scales`` and ``offsets`` are float32 of one value a group.
    """
    flat, group = out.reshape(-1), out.size // scales.size
    lanes, scales = lanes.reshape(-1), scales.reshape(-1)
    offsets = None if offsets is None else offsets.reshape(-1)
    for start in range(0, flat.size, CACHED):
        part = slice(start, start + CACHED)
        of_group = slice(start // group, (start + CACHED) // group)
        values = flat[part]
        values[...] = lanes[part]
        values *= scales[of_group].repeat(group)
        if offsets is not None:
            values += offsets[of_group].repeat(group)


def lookup(table: Array, index: Array) -> Array:
    """Return ``table[index]``; the table has an entry for every value that ``index`` can take."""
    # "clip" skips numpy's check of the bounds, which no index here can pass.
    return table.take(index, mode="clip")


def nibbles(packed: Array, values: tuple[int, ...]) -> Array:
    """Return what the low nibbles of every row mean, then its high ones: int8 (rows, 2 * width)."""
    low, high = _nibble_tables(values)
    pairs = packed.view("<u2")
    parts = [lookup(table, pairs).view("u1") for table in (low, high)]
    return interleave(parts).view("i1")


@functools.cache
def _nibble_tables(values: tuple[int, ...]) -> tuple[Array, Array]:
    """Return 65,536 pairs of int8: what the low, and what the high, nibbles of two bytes mean."""
    import numpy as np

    meaning = np.array(values, np.int8)
    pairs = np.arange(1 << 16, dtype="<u2").view(np.uint8).reshape(-1, 2)
    low, high = meaning[pairs & 15], meaning[pairs >> 4]
    return low.view("<u2").reshape(-1), high.view("<u2").reshape(-1)

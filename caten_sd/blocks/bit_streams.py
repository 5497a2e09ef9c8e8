"""Bit streams: numbers of a few bits, one after the other, the lowest bit of a word first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers_in(words: Any, bits: int, count: int) -> NDArray[Any]:
    """Return the first ``count`` numbers, as uint8, in each row of words along the last axis.

    A number may begin in one word and end in the next.

    >>> import numpy
    >>> numbers_in(numpy.array([[0x3210], [0x7654]], "<u2"), 4, 3).tolist()
    [[0, 1, 2], [4, 5, 6]]
    """
    import numpy as np

    little = np.ascontiguousarray(words)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    *rows, length = little.shape
    raw = little.view(np.uint8).reshape(*rows, length * little.itemsize)
    if bits == 8:
        return raw[..., :count]
    if 8 % bits == 0:
        found = np.empty((*raw.shape, 8 // bits), np.uint8)
        for place in range(8 // bits):
            found[..., place] = raw >> (place * bits) & (1 << bits) - 1
        return found.reshape(*rows, raw.shape[-1] * (8 // bits))[..., :count]
    single = np.unpackbits(raw, axis=-1, count=count * bits, bitorder="little")
    table = single.reshape(*rows, count, bits)
    found = table[..., 0].copy()
    for place in range(1, bits):
        found |= table[..., place] << np.uint8(place)
    return found

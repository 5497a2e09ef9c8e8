"""A leaf's data as it lies in a file: C order, little endian, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.tensor import BlockTensor, LazyTensor, Numpy, as_array

PIECE = 16 << 20  # bytes; large enough for full disk speed, small against any memory budget


def chunks(leaf: Any) -> Iterator[memoryview]:
    """Yield the leaf's bytes in pieces of at most 16 MiB.

    Bytes of a file are read plainly, not mapped, so that a conversion's memory stays at one piece.

    >>> import numpy
    >>> [bytes(piece) for piece in chunks(numpy.array([1, 2], "<u2"))]
    [b'\\x01\\x00\\x02\\x00']
    """
    if isinstance(leaf, BlockTensor):
        yield from chunks(leaf.raw)
    elif isinstance(leaf, LazyTensor) and leaf.strides is None and leaf.order == "<":
        for start in range(0, leaf.extent, PIECE):
            count = min(PIECE, leaf.extent - start)
            yield memoryview(leaf.source.read(leaf.offset + start, count))
    else:
        data = dense_bytes(as_array(Numpy(), leaf))
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]


def dense_bytes(array: Any) -> memoryview:
    """Return the bytes of a ``numpy.ndarray`` in C order and little endian."""
    import numpy as np

    if array.dtype.hasobject:
        raise StateDictError("an array of Python objects has no bytes to write; leave it out")
    if array.dtype.name == "float4_e2m1fn":
        return _packed_nibbles(array)
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    # Not every dtype of ml_dtypes speaks the buffer protocol; bytes do.
    return memoryview(array.reshape(-1).view(np.uint8))


def _packed_nibbles(array: Any) -> memoryview:
    """Pack one 4-bit float a byte to two a byte, the first one low, as torch and safetensors do."""
    import numpy as np

    nibbles = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if nibbles.size % 2:
        nibbles = np.append(nibbles, np.uint8(0))
    return memoryview(nibbles[0::2] & 15 | nibbles[1::2] << 4)

"""A leaf's data as it lies in a file: C order, little endian, a bounded piece at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import zip_longest
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.tensor import BlockTensor, LazyTensor, Numpy, as_array

PIECE = 16 << 20  # bytes; large enough for full disk speed, small against any memory budget

Progress = Callable[[int, int], None]  # bytes done, bytes in all

# Every writer draws its bytes from here, whatever its format, so here they are counted.
_observer: ContextVar[Callable[[int], None] | None] = ContextVar("observer", default=None)


@contextlib.contextmanager
def observed(progress: Progress | None, total: int) -> Iterator[None]:
    """Report to ``progress`` how many bytes the writers in this context have drawn."""
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    token = _observer.set(count)
    try:
        yield
    finally:
        _observer.reset(token)


def chunks(leaf: Any) -> Iterator[memoryview]:
    """Yield the leaf's bytes in pieces of at most 16 MiB.

    Bytes of a file are read plainly, not mapped, so that a conversion's memory stays at one piece.

    >>> import numpy
    >>> [bytes(piece) for piece in chunks(numpy.array([1, 2], "<u2"))]
    [b'\\x01\\x00\\x02\\x00']
    """
    observer = _observer.get()
    for piece in pieces(leaf):
        yield piece
        if observer is not None:
            observer(len(piece))


def same_bytes(a: Any, b: Any) -> bool:
    """Tell whether two leaves have the same bytes, a piece at a time."""
    return all(left == right for left, right in zip_longest(pieces(a), pieces(b)))


def pieces(leaf: Any) -> Iterator[memoryview]:
    """Yield what ``chunks`` yields, uncounted: for reading that is no writing."""
    if isinstance(leaf, BlockTensor):
        yield from pieces(leaf.raw)
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

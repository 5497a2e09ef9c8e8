"""A leaf's bytes as files hold them (C order, little endian), in pieces of bounded size."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any

from caten_sd.errors import StateDictError
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.c_order import contiguous
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.nibbles import packed
from caten_sd.state.parts import bytes_computed, bytes_read, parts

PIECE = 1 << 20  # bytes; small enough to be written while still in the cache

Progress = Callable[[int, int], None]  # bytes done, bytes in total

# The writers of all formats get their bytes from here, so progress is counted here.
_observer: ContextVar[Callable[[int], None] | None] = ContextVar("observer", default=None)
_hashes: ContextVar[dict[int, bytes] | None] = ContextVar("hashes", default=None)


@contextlib.contextmanager
def reporting(progress: Progress | None, total: int) -> Iterator[None]:
    """Report to ``progress`` how many bytes the writers in this context have taken."""
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


@contextlib.contextmanager
def hashing() -> Iterator[dict[int, bytes]]:
    """Hash what the writers in this context take of each leaf; the hashes are by the leaf's id."""
    hashes: dict[int, bytes] = {}
    token = _hashes.set(hashes)
    try:
        yield hashes
    finally:
        _hashes.reset(token)


def reported_pieces(leaf: Any) -> Iterator[memoryview]:
    """Yield the pieces of a leaf for a writer, and report each one when it was taken.

    >>> import numpy
    >>> [bytes(piece) for piece in reported_pieces(numpy.array([1, 2], "<u2"))]
    [b'\\x01\\x00\\x02\\x00']
    """
    observer, hashes = _observer.get(), _hashes.get()
    taken = pieces(leaf) if hashes is None else _hashed(leaf, hashes)
    for piece in taken:
        yield piece
        if observer is not None:
            observer(len(piece))


def _hashed(leaf: Any, hashes: dict[int, bytes]) -> Iterator[memoryview]:
    import xxhash

    state = xxhash.xxh3_128()
    for piece in pieces(leaf):
        state.update(piece)
        yield piece
    hashes[id(leaf)] = state.digest()


def content_hash(leaf: Any) -> bytes:
    """Return the XXH3 hash, of 128 bits, of a leaf's bytes: it finds every error of a disk."""
    hashes: dict[int, bytes] = {}
    for _ in _hashed(leaf, hashes):
        pass
    return hashes[id(leaf)]


def content_hashes(leaves: Sequence[Any]) -> list[bytes]:
    """Return the hash of each leaf; two threads read files, as one alone waits for the memory."""
    if not all(map(_is_read_anywhere, leaves)):
        return [content_hash(leaf) for leaf in leaves]
    found = [b""] * len(leaves)
    numbers, errors = iter(range(len(leaves))), list[BaseException]()

    def work() -> None:
        try:
            for number in numbers:  # which gives each to one thread
                if errors:
                    return
                found[number] = content_hash(leaves[number])
        except BaseException as error:
            errors.append(error)

    second = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
    with contextlib.suppress(RuntimeError):  # there is no thread to be had
        second.start()
    work()
    if second.ident is not None:
        second.join()
    if errors:
        raise errors[0]
    return found


def _is_read_anywhere(leaf: Any) -> bool:
    raw = leaf.raw if isinstance(leaf, BlockTensor) else leaf
    return isinstance(raw, LazyTensor) and raw.source.is_random_access


def pieces(leaf: Any) -> Iterator[memoryview]:
    """Yield the leaf's bytes in pieces of at most 1 MiB.

    Bytes of a file are read and not mapped, so that a copy needs the memory of one piece; a cast or
    a transpose needs that of one part.
    """
    if isinstance(leaf, BlockTensor):
        yield from pieces(leaf.raw)
    elif _is_stored_so(leaf):
        for start in range(0, leaf.extent, PIECE):
            count = min(PIECE, leaf.extent - start)
            yield memoryview(leaf.source.read(leaf.offset + start, count))
    else:
        for part in parts(leaf):
            yield from _array_pieces(with_bytes_copied(as_array, Numpy(), part))


def bytes_at_once(leaf: Any) -> int:
    """Return how many bytes are read or computed at a time, at most, while pieces are taken."""
    if isinstance(leaf, BlockTensor):
        return bytes_at_once(leaf.raw)
    if _is_stored_so(leaf):
        return min(spec(leaf).nbytes, PIECE)
    return max(max(bytes_read(part), bytes_computed(part)) for part in parts(leaf))


def _is_stored_so(leaf: Any) -> bool:
    """Return whether a file has the bytes of a leaf as they are to be."""
    return isinstance(leaf, LazyTensor) and leaf.is_canonical


def _array_pieces(array: Any) -> Iterator[memoryview]:
    """Yield the bytes of a ``numpy.ndarray`` in C order and little endian."""
    import numpy as np

    if array.dtype.hasobject:
        raise StateDictError("an array of Python objects has no bytes to write; leave it out")
    if array.dtype.name == "float4_e2m1fn":
        array = packed(array)
    array = array if array.ndim else array.reshape(1)
    row = array.nbytes // max(len(array), 1)
    rows = max(len(array), 1) if array.flags.c_contiguous else max(PIECE // max(row, 1), 1)
    for start in range(0, len(array), rows):
        ordered = contiguous(array[start : start + rows])
        if ordered.dtype.byteorder == ">":
            ordered = ordered.astype(ordered.dtype.newbyteorder("<"))
        # Not every dtype of ml_dtypes has the buffer protocol; uint8 has.
        data = memoryview(ordered.reshape(-1).view(np.uint8))
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

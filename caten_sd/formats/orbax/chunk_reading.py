"""Read the chunks of a zarr array from a store, each as a leaf or an array of its own."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from caten_sd.errors import FormatError
from caten_sd.formats.orbax.array_stores import ArrayStore
from caten_sd.formats.orbax.chunk_codecs import unpacked
from caten_sd.formats.orbax.fill_values import filled
from caten_sd.formats.orbax.zarr_arrays import Inner, ZarrArray
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.source import Source

_ABSENT = 2**64 - 1  # the offset and length of a chunk that is not stored
_FILLED = 64 << 20  # bytes of fill values that are made without any that are stored
_FILLED_RATIO = 1000  # times the bytes that are stored, too
_PAIR = 16  # bytes of an offset and a length


class ChunkReader:
    """The chunks of an array, the smallest ones if some hold others.

    ``sizes`` is their shape. One that is not stored has the fill value, if ``sparse``.
    """

    def __init__(self, store: ArrayStore, start: str, array: ZarrArray, *, sparse: bool) -> None:
        self._store, self._start, self._array, self._sparse = store, start, array, sparse
        self.sizes = array.inner.chunks if array.inner else array.chunks
        self._last: tuple[str, Source | None, bytes] = "", None, b""

    @property
    def stored(self) -> Any:
        """numpy's dtype of an element."""
        return numpy_stored(self._array)

    @property
    def nbytes(self) -> int:
        """The bytes of a chunk that is not packed."""
        return math.prod(self.sizes) * self._array.itemsize

    def key(self, numbers: tuple[int, ...]) -> str:
        """Return the key of a chunk that is stored by itself."""
        return self._start + self._array.chunk_key(numbers)

    def chunk(self, numbers: tuple[int, ...]) -> Any:
        """Return a chunk as a leaf that is not read, if it is not packed, or as an array."""
        array = self._array
        if array.inner is None:
            key = self.key(numbers)
            source = self._store.find_again(key)
            if source is None:
                return self._without(numbers, key)
            return self._leaf(source, array.codecs)
        per = [o // i for o, i in zip(array.chunks, array.inner.chunks, strict=True)]
        outer = tuple(n // count for n, count in zip(numbers, per, strict=True))
        key = self.key(outer)
        source, index = self._outer(key, array.inner, math.prod(per))
        if source is None:
            return self._without(numbers, key)
        within = [n % count for n, count in zip(numbers, per, strict=True)]
        at = 0
        for n, count in zip(within, per, strict=True):
            at = at * count + n
        pair = index[_PAIR * at : _PAIR * at + _PAIR]
        offset, length = int.from_bytes(pair[:8], "little"), int.from_bytes(pair[8:], "little")
        if offset == length == _ABSENT:
            return self._without(numbers, f"{at} within {key}")
        return self._leaf(source.window(offset, length), array.inner.codecs)

    def _outer(self, key: str, inner: Inner, count: int) -> tuple[Source | None, bytes]:
        """Return a chunk that holds others, and its index; the last one is not looked for again."""
        known = self._last  # one of another thread would do harm
        if known[0] != key:
            source = self._store.find_again(key)
            self._last = known = (
                key,
                source,
                b"" if source is None else _index(source, inner, count),
            )
        return known[1:]

    def _leaf(self, source: Source, codecs: tuple[str, ...]) -> Any:
        array = self._array
        size = math.prod(self.sizes) * array.itemsize
        if not codecs and array.dtype.itemsize and array.dtype.kind != "other":
            _require_size(source, size)
            strides = _fortran_strides(self.sizes) if array.fortran else None
            return LazyTensor(source, 0, array.dtype, self.sizes, strides, array.order)
        return self._unpacked(source, codecs, size)

    def _unpacked(self, source: Source, codecs: tuple[str, ...], size: int) -> Any:
        import numpy as np

        array = self._array
        data = unpacked(source.name, source.view(0, source.size), codecs, size)
        part = array.itemsize // (2 if array.dtype.kind == "complex" else 1)
        flat = np.frombuffer(data, f"u{part}")
        flat = (flat.byteswap() if array.order == ">" else flat).view(self.stored)
        return flat.reshape(self.sizes, order="F" if array.fortran else "C")

    def refuse_missing(
        self, numbers: tuple[int, ...], sizes: tuple[int, ...], key: str
    ) -> NoReturn:
        """Raise the error for a chunk of these sizes that is neither stored nor to be filled."""
        array = self._array
        ends = [
            f"{n * size}:{min((n + 1) * size, length)}"
            for n, size, length in zip(numbers, sizes, array.shape, strict=True)
        ]
        raise FormatError(
            array.name,
            f"the array {self._start.removesuffix('/')!r} of {list(array.shape)} has no values at "
            f"[{', '.join(ends)}], since its chunk {key} is missing",
            "get all files of the folder again, or take another save",
        )

    def _without(self, numbers: tuple[int, ...], key: str) -> Any:
        if not self._sparse:
            self.refuse_missing(numbers, self.sizes, key)
        refuse_unspoken(self._array.name, self.nbytes, self._store.stored)
        return filled(self._array, self.sizes, self.stored)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": ("", None, b"")}


def numpy_stored(array: ZarrArray) -> Any:
    """Return numpy's dtype of an element: that of ml_dtypes for those that numpy lacks."""
    import ml_dtypes
    import numpy as np

    name = array.dtype.name
    return np.dtype(name if hasattr(np, name) or name == "bool" else getattr(ml_dtypes, name))


def refuse_unspoken(name: str, absent: int, stored: int) -> None:
    """Refuse absent bytes that are so many that those that are stored do not speak for them."""
    if absent > _FILLED + _FILLED_RATIO * stored:
        raise FormatError(
            name,
            f"of {absent:,} bytes none is stored",
            "get all files of the folder again, or take another checkpoint",
        )


def _require_size(source: Source, size: int) -> None:
    if source.size != size:
        raise FormatError(
            source.name,
            f"a chunk of {size:,} bytes has {source.size:,}",
            "it is truncated or damaged, so get it again",
        )


def _fortran_strides(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(sizes[:axis]) for axis in range(len(sizes)))


def _index(source: Source, inner: Inner, count: int) -> bytes:
    """Return the index of a chunk that holds others, its checksum compared if it has one."""
    size = _PAIR * count + 4 * len(inner.index_codecs)
    start = 0 if inner.index_first else source.size - size
    data = source.read(start, size)
    return bytes(unpacked(f"the index of {source.name}", data, inner.index_codecs, _PAIR * count))

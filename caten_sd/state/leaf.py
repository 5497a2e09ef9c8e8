"""Leaves: what has a shape, a dtype and bytes, described and read without knowing its framework."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from caten_sd.dispatch.generic import generic
from caten_sd.errors import CatenError
from caten_sd.state.indexing import narrow

if TYPE_CHECKING:
    from caten_sd.state.source import Source


class DType(NamedTuple):
    """An element type: ``bits`` of storage for every ``per`` elements.

    ``kind`` is float, int, uint, bool, complex, block (quantised data that has no single element),
    or other (what no tensor of a file is).
    """

    name: str
    kind: str
    bits: int
    per: int = 1

    @property
    def itemsize(self) -> int:
        """Bytes of one element; 0 where an element is less than a byte or part of a block."""
        return self.bits // 8 if self.per == 1 else 0

    def nbytes(self, count: int) -> int:
        """Bytes that ``count`` elements take, the last byte filled up."""
        return -(-count * self.bits // (8 * self.per))

    def __str__(self) -> str:
        return self.name


# The names are those of numpy and ml_dtypes, which torch shares.
DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        *(DType(f"float{bits}", "float", bits) for bits in (64, 32, 16)),
        DType("bfloat16", "float", 16),
        DType("float8_e4m3fn", "float", 8),
        DType("float8_e5m2", "float", 8),
        DType("float8_e4m3fnuz", "float", 8),
        DType("float8_e5m2fnuz", "float", 8),
        DType("float8_e8m0fnu", "float", 8),
        DType("float6_e2m3fn", "float", 6),
        DType("float6_e3m2fn", "float", 6),
        DType("float4_e2m1fn", "float", 4),
        *(DType(f"int{bits}", "int", bits) for bits in (64, 32, 16, 8)),
        *(DType(f"uint{bits}", "uint", bits) for bits in (64, 32, 16, 8)),
        DType("bool", "bool", 8),
        DType("complex64", "complex", 64),
        DType("complex128", "complex", 128),
    )
}


@functools.cache
def numpy_dtype(dtype: DType) -> Any:
    """Return numpy's dtype for ours; those that numpy lacks come from ml_dtypes."""
    import numpy as np

    # ml_dtypes gives a 6-bit float a byte of its own, so packed ones of a file are not its arrays.
    if dtype.kind in ("float", "int", "uint", "bool", "complex") and dtype.bits != 6:
        if hasattr(np, dtype.name):
            return np.dtype(dtype.name)
        import ml_dtypes

        if hasattr(ml_dtypes, dtype.name):
            return np.dtype(getattr(ml_dtypes, dtype.name))
    raise CatenError(f"numpy has no dtype for {dtype}; keep the leaf as it is, or copy its bytes")


class Spec(NamedTuple):
    """What is known of a leaf without reading its data: shape, element type, bytes stored."""

    shape: tuple[int, ...]
    dtype: DType
    nbytes: int


def spec_of(shape: Sequence[int], dtype: DType) -> Spec:
    """Return the Spec of a dense array of this shape.

    >>> spec_of((2, 3), DTYPES["bfloat16"]).nbytes
    12
    """
    return Spec(tuple(shape), dtype, dtype.nbytes(math.prod(shape)))


class Numpy:
    """The kind ``numpy.ndarray`` as a value, for ``as_array(Numpy(), leaf)``."""

    __adapter__ = "numpy"


class Torch:
    """The kind ``torch.Tensor`` as a value, for ``as_array(Torch(), leaf)``."""

    __adapter__ = "torch"


@generic
def spec(leaf: Any, /) -> Spec:
    """Return the shape, dtype and byte count of a leaf, reading none of its data."""
    raise NotImplementedError


@generic
def as_array(kind: Any, leaf: Any, /) -> Any:
    """Return the leaf as the wanted kind of array, without a copy where its bytes allow it."""
    raise NotImplementedError


@generic
def dequantize(block_type: Any, raw: Any, /) -> Any:
    """Return float32 values (..., n) for raw uint8 blocks (..., n / per * bytes)."""
    raise NotImplementedError


class Unread:
    """A leaf that describes itself, and has its data only when ``numpy()`` or ``torch()`` asks.

    What subclasses it has ``shape`` and ``dtype``, and a method of ``as_array`` for Numpy at least.
    """

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: DType

    def numpy(self) -> Any:
        """Return the values as a ``numpy.ndarray``, without a copy where the bytes allow it."""
        return as_array(Numpy(), self)

    def torch(self) -> Any:
        """Return the values as a ``torch.Tensor``, without a copy where the bytes allow it."""
        return as_array(Torch(), self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"{self!r} becomes {dtype} by a copy only")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a leaf without axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {list(self.shape)})"


@spec.register(Unread)
def _unread_spec(leaf: Unread, /) -> Spec:
    return spec_of(leaf.shape, leaf.dtype)


class LazyTensor(Unread):
    """A leaf whose bytes still lie in a file: known from the header, mapped on first touch.

    Basic indexing stays lazy and narrows what will be read. ``strides`` count elements and default
    to C order; ``order`` is the bytes' order, "<" or ">".
    """

    __slots__ = ("dtype", "offset", "order", "shape", "source", "strides")

    def __init__(
        self,
        source: Source,
        offset: int,
        dtype: DType,
        shape: Sequence[int],
        strides: Sequence[int] | None = None,
        order: str = "<",
    ) -> None:
        self.source, self.offset, self.dtype, self.order = source, offset, dtype, order
        self.shape = tuple(shape)
        self.strides = None if strides is None else tuple(strides)

    @property
    def extent(self) -> int:
        """Bytes from the first element to the end of the last one."""
        if self.strides is None or 0 in self.shape:
            return self.dtype.nbytes(math.prod(self.shape))
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return self.dtype.nbytes(last + 1)

    def raw(self) -> memoryview:
        """Return the stored bytes, mapped where the system allows."""
        return self.source.view(self.offset, self.extent)

    def __getitem__(self, index: Any) -> LazyTensor:
        """Return the part under basic indexing (integers, slices of positive step), unread."""
        if not self.dtype.itemsize:
            raise CatenError(
                f"{self.source}: a {self.dtype} leaf cannot be sliced, its elements share bytes; "
                f"slice the result of numpy()"
            )
        offset, shape, strides = narrow(self.shape, self.strides, index)
        start = self.offset + offset * self.dtype.itemsize
        return LazyTensor(self.source, start, self.dtype, shape, strides, self.order)

    def __repr__(self) -> str:
        return f"LazyTensor({self.dtype}, {list(self.shape)}, {self.source} at {self.offset})"


class BlockTensor(Unread):
    """A leaf of quantised blocks kept packed: ``raw`` is (..., row bytes) uint8, any leaf kind.

    ``shape`` is row-major and counts elements; ``block_type`` is what ``dequantize`` dispatches on
    and names its ``dtype``. It is copied packed from file to file, and unpacked by ``numpy()``.
    """

    __slots__ = ("block_type", "dtype", "raw", "shape")

    def __init__(self, block_type: Any, raw: Any, shape: Sequence[int]) -> None:
        self.block_type, self.raw, self.shape = block_type, raw, tuple(shape)
        self.dtype: DType = block_type.dtype


class Opaque:
    """A value that is no tensor, kept inert: the name of its class and what it was built from."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: Any = (), state: Any = None) -> None:
        self.name, self.args, self.state = name, args, state

    def __repr__(self) -> str:
        return f"Opaque({self.name})"

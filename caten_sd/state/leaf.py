"""Leaves: values with a shape, a dtype and bytes, described and read by generic functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from caten_sd.dispatch.generic import generic
from caten_sd.errors.printable import one_line
from caten_sd.state.dtype import DType


class Spec(NamedTuple):
    """A leaf's shape, element type and stored bytes, known without reading its data."""

    shape: tuple[int, ...]
    dtype: DType
    nbytes: int


def spec_of(shape: Sequence[int], dtype: DType) -> Spec:
    """Return the Spec of a dense array of this shape.

    >>> from caten_sd.state.dtype import DTYPES
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
    """Return the shape, dtype and byte count of a leaf, without reading its data."""
    raise NotImplementedError


@generic
def as_array(kind: Any, leaf: Any, /) -> Any:
    """Return the leaf as this kind of array, without a copy if its bytes allow it."""
    raise NotImplementedError


@generic
def dequantize(block_type: Any, raw: Any, /) -> Any:
    """Return float32 values (..., n) for raw uint8 blocks (..., n / per * bytes)."""
    raise NotImplementedError


class LazyLeaf:
    """A leaf whose data is read only by ``numpy()``, ``torch()`` or a cast to an array.

    A subclass has ``shape`` and ``dtype``, and a method of ``as_array`` for at least Numpy.
    """

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: DType

    def numpy(self) -> Any:
        """Return the values as a ``numpy.ndarray``, without a copy if the bytes allow it."""
        return as_array(Numpy(), self)

    def torch(self) -> Any:
        """Return the values as a ``torch.Tensor``, without a copy if the bytes allow it."""
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


@spec.register(LazyLeaf)
def _unread_spec(leaf: LazyLeaf, /) -> Spec:
    return spec_of(leaf.shape, leaf.dtype)


class Opaque:
    """A value of an unknown class, kept inert: the name of its class, its arguments and state."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: Any = (), state: Any = None) -> None:
        self.name, self.args, self.state = name, args, state

    def __repr__(self) -> str:
        return f"Opaque({one_line(self.name)})"

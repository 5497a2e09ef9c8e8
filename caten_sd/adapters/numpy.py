"""numpy: arrays as leaves, arrays as slots of a load, and the bytes of a file as arrays."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caten_sd.errors import CatenError, LoadError
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.copied_bytes import are_bytes_copied
from caten_sd.state.dtype import DTYPES, DType, numpy_dtype
from caten_sd.state.keys import Pair, Path
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Memory, Numpy, Spec, as_array, dequantize, memory, spec
from caten_sd.state.nibbles import unpacked
from caten_sd.state.source import Source

Array = NDArray[Any]

_READ = 1 << 20  # bytes at a time where they do not lie together
_GAP = 1 << 15  # bytes that take as long to read as another call


@functools.cache
def dtype_of(dtype: np.dtype[Any]) -> DType:
    """Return our DType; it has the kind "other" for text, objects and records."""
    known = DTYPES.get(dtype.name)
    return known or DType(dtype.str, "other", 8 * dtype.itemsize)


@to_state_dict.register(np.ndarray)
def _pairs(array: Array, parent: Path, /) -> list[Pair]:
    return [(list(parent), array)]


@to_state_dict.register(np.generic)
def _no_pairs(number: np.generic, parent: Path, /) -> list[Pair]:
    return []  # a number is not a leaf, as Python's own numbers are not


@spec.register(np.ndarray)
def _spec(array: Array, /) -> Spec:
    dtype = dtype_of(array.dtype)
    return Spec(array.shape, dtype, dtype.nbytes(array.size))


@as_array.register(Numpy, np.ndarray)
def _same(kind: Numpy, array: Array, /) -> Array:
    return array


@as_array.register(Numpy, LazyTensor)
def _from_file(kind: Numpy, leaf: LazyTensor, /) -> Array:
    dtype = numpy_dtype(leaf.dtype)
    try:
        if are_bytes_copied() and leaf.has_gaps:
            array = _gathered(leaf, _stored(leaf, dtype))
        else:
            array = _shaped(leaf, leaf.raw(), dtype)
    except ValueError as error:  # over 64 axes, or an empty array with an axis that is too long
        raise CatenError(f"{leaf.source}: numpy cannot hold this array ({error})") from error
    return array if leaf.order == "<" else array.astype(dtype)


def _shaped(leaf: LazyTensor, raw: memoryview, dtype: np.dtype[Any]) -> Array:
    if leaf.dtype.bits == 4:
        values: Array = unpacked(raw, leaf.shape)
        return values.view(dtype)
    stored = _stored(leaf, dtype)
    if leaf.strides is None:
        return np.frombuffer(raw, stored).reshape(leaf.shape)
    # as_strided cannot make an array of float8_e5m2, and it does not check bounds. ndarray would
    # release a memoryview, and then the map could be closed under it; an array it keeps alive.
    held = np.frombuffer(raw, np.uint8)
    return np.ndarray(leaf.shape, stored, held, 0, [dtype.itemsize * n for n in leaf.strides])


def _stored(leaf: LazyTensor, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if leaf.order == "<" else dtype.newbyteorder(">")


def _gathered(leaf: LazyTensor, dtype: np.dtype[Any]) -> Array:
    """Return the elements without what lies between them, which would take memory."""
    size, steps = dtype.itemsize, leaf.strides or ()
    order = sorted(range(len(steps)), key=lambda axis: -steps[axis])
    # numpy copies the dtypes of ml_dtypes element by element; integers of that size are faster.
    item = np.dtype(f"u{size}") if size in (1, 2, 4, 8) else dtype
    found = np.empty([leaf.shape[axis] for axis in order], item)
    _gather(leaf.source, leaf.offset, found, [size * steps[axis] for axis in order])
    return found.transpose(np.argsort(order)).view(dtype)


def _gather(source: Source, at: int, found: Array, steps: list[int]) -> None:
    """Fill an array with elements that are ``steps`` bytes apart on its axes, the widest first."""
    ends = [(n - 1) * step for n, step in zip(found.shape, steps, strict=True)]
    span = sum(ends) + found.itemsize
    if span <= _READ or not steps:
        held = np.frombuffer(source.read(at, span), np.uint8)
        found[...] = np.ndarray(found.shape, found.dtype, held, 0, steps)
        return
    row = span - ends[0]
    rows = 1 if row + _GAP < steps[0] else max(_READ // max(row, steps[0]), 1)
    if rows == 1 and found.flags.c_contiguous and found.strides[1:] == tuple(steps[1:]):
        source.read_rows(at, steps[0], found.reshape(-1).view(np.uint8).data, row)
        return
    for start in range(0, len(found), rows):
        here = at + start * steps[0]
        if rows == 1:
            _gather(source, here, found[start, ...], steps[1:])
        else:
            _gather(source, here, found[start : start + rows], steps)


@as_array.register(Numpy, BlockTensor)
def _unpacked(kind: Numpy, leaf: BlockTensor, /) -> Array:
    values: Array = dequantize(leaf.block_type, as_array(kind, leaf.raw))
    return values.reshape(leaf.shape)


@as_array.register(np.ndarray)
def _like_array(kind: Array, leaf: Any, /) -> Array:
    """Return the leaf as an array, which can take the place of another array."""
    array: Array = as_array(Numpy(), leaf)
    return array


@assign.register(np.ndarray)
def _copy_into(place: Array, leaf: Any, /) -> None:
    if isinstance(leaf, LazyTensor) and _read_into(place, leaf):
        return
    array = as_array(Numpy(), leaf)
    np.copyto(place, array.reshape(place.shape), casting="unsafe")


def _read_into(place: Array, leaf: LazyTensor) -> bool:
    """Read a leaf from its file into the array's own memory; return whether that is possible."""
    if leaf.strides is not None or leaf.order != "<" or not place.flags.c_contiguous:
        return False
    if place.dtype != numpy_dtype(leaf.dtype) or place.nbytes != leaf.extent:
        return False
    if place.nbytes:
        leaf.read_into(place.reshape(-1).view(np.uint8).data)
    return True


@refusal.register(np.ndarray)
def _refusal(place: Array, leaf: Any, /) -> str:
    return "" if place.flags.writeable else "it is read-only: put a writable copy into the model"


@memory.register(np.ndarray)
def _memory(array: Array, /) -> Memory:
    owner: Any = array
    while hasattr(getattr(owner, "base", None), "__array_interface__"):
        owner = owner.base
    block = owner.__array_interface__["data"][0]
    return Memory((block,) if block else (), _place)


def _place(array: Array) -> Hashable:
    at = array.__array_interface__["data"][0]
    return (at, array.dtype, array.shape, array.strides) if at and array.size else None


@replacement.register(np.ndarray)
def _replacement(
    place: Array,
    leaf: Any,
    /,
    *,
    dtype: DType | None = None,
    location: Any = None,
    copy: bool = False,
) -> Array:
    if location not in (None, "cpu"):
        raise LoadError(
            f"a numpy array is always in the host's memory: it cannot go to {location!r}"
        )
    array = _like_array(place, leaf).reshape(place.shape)
    same = dtype is None or dtype == dtype_of(array.dtype)
    made = array.astype(array.dtype if same else numpy_dtype(dtype), copy=copy)
    return _of_class(made, place)


def _of_class(array: Array, place: Array) -> Array:
    """Return an array of the class of ``place``, with what that class keeps next to the values."""
    if type(array) is type(place) or isinstance(place, np.memmap):
        return array
    array = array.view(type(place))
    array.__array_finalize__(place)
    return array

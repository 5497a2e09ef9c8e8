"""Tensors of tinygrad as leaves: their spec, and their values as arrays of numpy or as tensors.

A tensor is computed when its values are read, and keeps them. Dtypes that numpy or a compiler lacks
pass as the integers that have their bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from tinygrad import Device, Tensor, dtypes
from tinygrad.dtype import DTYPES_DICT

from caten_sd.errors import CatenError
from caten_sd.objects.extract import to_state_dict
from caten_sd.state.dtype import DTYPES, DType, numpy_dtype
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Kind, Memory, Numpy, Spec, as_array, memory, spec

Array = np.ndarray[Any, Any]

_NAMES = {  # the names of tinygrad for ours, where they differ
    "float8_e4m3fn": "fp8e4m3",
    "float8_e5m2": "fp8e5m2",
    "float8_e4m3fnuz": "fp8e4m3fnuz",
    "float8_e5m2fnuz": "fp8e5m2fnuz",
}
_OURS = {
    dtype: DTYPES[name] for name in DTYPES if (dtype := DTYPES_DICT.get(_NAMES.get(name, name)))
}
_DEVICE = "choose a device that works, as DEV=PYTHON does"
_BITS = {dtypes.uint8.itemsize: dtypes.uint8, dtypes.uint16.itemsize: dtypes.uint16}


class Tinygrad(Kind):
    """The kind ``tinygrad.Tensor``."""

    __adapter__ = "tinygrad"


def strong(dtype: Any) -> Any:
    """Return the dtype that values have in memory; that of a Python number is not decided yet."""
    if dtype not in dtypes.weaks:
        return dtype
    return dtypes.default_float if dtypes.is_float(dtype) else dtypes.default_int


def dtype_of(dtype: Any) -> DType:
    """Return our DType; it has the kind "other" where only tinygrad has it."""
    dtype = strong(dtype)
    return _OURS.get(dtype) or DType(dtype.name, "other", 8 * dtype.itemsize)


@functools.cache
def tinygrad_dtype(dtype: DType) -> Any:
    """Return the dtype of tinygrad for ours; CatenError if it has none."""
    found = DTYPES_DICT.get(_NAMES.get(dtype.name, dtype.name))
    if found is None:
        raise CatenError(
            f"tinygrad has no dtype for {dtype}: convert the leaf to another dtype first"
        )
    return found


def _bits(dtype: Any) -> Any:
    """Return the integers as which values pass; the dtype itself where numpy has it."""
    named = dtype_of(dtype).name
    return dtype if hasattr(np, named) else _BITS[dtype.itemsize]


@to_state_dict.register(Tensor)
def _pairs(tensor: Tensor, parent: Path, /) -> list[Pair]:
    return [(list(parent), tensor)]


@spec.register(Tensor)
def _spec(tensor: Tensor, /) -> Spec:
    shape, dtype = tuple(tensor.shape), dtype_of(tensor.dtype)
    if not all(isinstance(size, int) for size in shape):
        raise CatenError(
            f"a tensor of tinygrad ({dtype}, {len(shape)} axes) has a size that is a variable and "
            f"not a number: cut it with a number"
        )
    return Spec(shape, dtype, dtype.nbytes(math.prod(shape)))


@as_array.register(Tinygrad, Tensor)
def _same(kind: Tinygrad, tensor: Tensor, /) -> Tensor:
    return tensor


@as_array.register(Numpy, Tensor)
def _to_numpy(kind: Numpy, tensor: Tensor, /) -> Array:
    known = spec(tensor)
    if 0 in known.shape:
        return np.empty(known.shape, numpy_dtype(known.dtype))
    try:
        found: Array = _realized(tensor).bitcast(_bits(strong(tensor.dtype))).numpy()
    except Exception as error:  # of a compiler, a device or a capture
        raise CatenError(_why_no_values(tensor, error)) from error
    return found.view(numpy_dtype(known.dtype))


def _realized(tensor: Tensor) -> Tensor:
    """Return the tensor with its values on one device, computed once; those of a file stay there.

    A constant has no device, and a tensor that is divided over devices is gathered.
    """
    if tensor.uop.device is None:
        return tensor.cast(strong(tensor.dtype)).clone(Device.DEFAULT)
    if isinstance(tensor.device, tuple):
        return tensor.to(tensor.device[0])
    return tensor if tensor.device.startswith("DISK") else tensor.realize()


def _why_no_values(tensor: Tensor, error: Exception) -> str:
    described = (
        f"a {list(tensor.shape)} tensor of tinygrad ({dtype_of(tensor.dtype)}, on {tensor.device})"
    )
    if type(error).__name__ == "JitError":
        return f"{described} has no values yet: do this outside the function that TinyJit captures"
    return f"{described} cannot be computed ({_first_line(error)}): {_DEVICE}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


@as_array.register(Tinygrad, np.ndarray)
def _from_numpy(kind: Tinygrad, array: Array, /) -> Tensor:
    """Return a tensor with memory of its own, which one made of an array may not have."""
    dtype = tinygrad_dtype(spec(array).dtype)
    try:
        return _tensor_of(array, dtype)
    except Exception as error:  # of a compiler or a device
        raise CatenError(
            f"tinygrad cannot make a {list(array.shape)} tensor ({_first_line(error)}): {_DEVICE}"
        ) from error


def _tensor_of(array: Array, dtype: Any) -> Tensor:
    if 0 in array.shape:
        return Tensor.empty(*array.shape, dtype=dtype)
    own = np.array(array, array.dtype.newbyteorder("="), order="C").reshape(-1)
    bits = _bits(dtype)
    raw = own if bits is dtype else own.view(f"u{dtype.itemsize}")
    # A constant would be made of an array without axes.
    return Tensor(raw).realize().bitcast(dtype).reshape(array.shape)


@as_array.register(Tensor)
def _for_place(place: Tensor, leaf: Any, /) -> Any:
    """Return the leaf as numpy's array, which is cast when it gets into the place."""
    return as_array(Numpy(), leaf)


def buffer_of(tensor: Tensor) -> Any:
    """Return the buffer that holds the values of a tensor and no others; None if it has none."""
    uop = tensor.uop
    if not isinstance(uop.device, str) or uop.device.startswith("DISK") or 0 in tensor.shape:
        return None
    if not (uop.has_buffer_identity() and uop.is_realized):
        return None
    buffer = uop.base.buffer
    return buffer if buffer.size == math.prod(tensor.shape) else None


@memory.register(Tensor)
def _memory(tensor: Tensor, /) -> Memory:
    """Return the buffer as the block; a tensor without one gets it when it is loaded."""
    uop = tensor.uop
    held = uop.base.buffer if isinstance(uop.device, str) and uop.is_realized else tensor
    return Memory((("tinygrad", id(getattr(held, "base", held))),), _place)


def _place(tensor: Tensor) -> Hashable:
    return id(tensor.uop)  # one of the same graph is one object

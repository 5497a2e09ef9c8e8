"""Arrays of MLX as leaves: their spec, and their values as arrays of numpy or of MLX.

An array is computed when its values are read, and keeps them. numpy has no name for its bfloat16,
whose bits pass as integers.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import ml_dtypes
import mlx.core as mx
import numpy as np

from caten_sd.errors import CatenError
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.place import assign
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Kind, Memory, Numpy, Spec, as_array, memory, spec

Array = np.ndarray[Any, Any]

_MOST = (1 << 31) - 1  # elements along an axis


class Mlx(Kind):
    """The kind ``mlx.core.array``."""

    __adapter__ = "mlx"


@functools.cache
def dtype_of(dtype: Any) -> DType:
    """Return our DType for one of MLX, each of which has the name of ours."""
    return DTYPES[str(dtype).removeprefix("mlx.core.").removesuffix("_")]


@functools.cache
def mlx_dtype(dtype: DType) -> Any:
    """Return the dtype of MLX for ours; CatenError if it has none."""
    found = getattr(mx, "bool_" if dtype.name == "bool" else dtype.name, None)
    if isinstance(found, mx.Dtype):
        return found
    raise CatenError(f"MLX has no dtype for {dtype}: convert the leaf to another dtype first")


@to_state_dict.register(mx.array)
def _pairs(array: mx.array, parent: Path, /) -> list[Pair]:
    return [(list(parent), array)]


@spec.register(mx.array)
def _spec(array: mx.array, /) -> Spec:
    return Spec(tuple(array.shape), dtype_of(array.dtype), array.nbytes)


@as_array.register(Mlx, mx.array)
def _same(kind: Mlx, array: mx.array, /) -> mx.array:
    return array


@as_array.register(Numpy, mx.array)
def _to_numpy(kind: Numpy, array: mx.array, /) -> Array:
    """Return the array's memory, which other arrays may share, so that it must not be written."""
    try:
        found = _host_array(array)
    except (RuntimeError, ValueError) as error:
        raise CatenError(_why_no_values(array, error)) from error
    found.flags.writeable = False
    return found


def _host_array(array: mx.array) -> Array:
    if array.dtype == mx.bfloat16:
        return np.asarray(array.view(mx.uint16)).view(ml_dtypes.bfloat16)
    return np.asarray(array)


def _why_no_values(array: mx.array, error: Exception) -> str:
    described = f"a {list(array.shape)} array of MLX ({dtype_of(array.dtype)})"
    if "transformation" in str(error):
        return (
            f"{described} is traced and has no values: do this outside the function that "
            f"mx.compile, mx.vmap or mx.grad transforms"
        )
    why = str(error).partition("\n")[0]
    return f"{described} cannot be computed ({why}): mlx.core.eval computes it where it was made"


@as_array.register(Mlx, np.ndarray)
def _from_numpy(kind: Mlx, array: Array, /) -> mx.array:
    dtype = mlx_dtype(spec(array).dtype)
    if max(array.shape, default=0) > _MOST:
        raise CatenError(
            f"MLX has at most {_MOST} elements along an axis, and the shape is "
            f"{list(array.shape)}: cut it first"
        )
    array = np.asarray(array, array.dtype.newbyteorder("="), order="C")
    if dtype == mx.bfloat16:
        return mx.array(array.view(np.uint16)).view(dtype)
    return mx.array(array, dtype=dtype)


@as_array.register(mx.array)
def _for_place(place: mx.array, leaf: Any, /) -> Any:
    """Return the leaf as numpy's array, which is cast when it gets into the place."""
    return as_array(Numpy(), leaf)


def new_array(leaf: Any, dtype: DType, shape: Any) -> mx.array:
    """Return a leaf's values as an array of MLX, read into memory of its own."""
    made = mx.zeros(shape, dtype=mlx_dtype(dtype))
    mx.eval(made)
    held = _host_array(made).reshape(spec(leaf).shape)
    with np.errstate(all="ignore"):  # the report says what a cast has lost
        with_bytes_copied(assign, held, leaf)
    return made


@memory.register(mx.array)
def _memory(array: mx.array, /) -> Memory:
    """Return the object as its own block: a write gives it other memory, and no one else."""
    return Memory((("array of MLX", id(array)),), _itself)


def _itself(array: mx.array) -> Hashable:
    return id(array)

"""Arrays of JAX as leaves: their spec, and their values as arrays of numpy or of JAX.

A PRNG key is a leaf too: its values are its key data, integers along one further axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable
from typing import Any

import jax
import numpy as np

from caten_sd.errors import CatenError
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.place import assign
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.keys import Pair, Path
from caten_sd.state.leaf import Kind, Memory, Numpy, Spec, as_array, memory, spec

Array = np.ndarray[Any, Any]


class Jax(Kind):
    """The kind ``jax.Array``."""

    __adapter__ = "jax"


@functools.cache
def dtype_of(dtype: Any) -> DType:
    """Return our DType; it has the kind "other" where no file has it (int4)."""
    return DTYPES.get(dtype.name) or DType(dtype.name, "other", 8 * dtype.itemsize)


@functools.cache
def is_key(dtype: Any) -> bool:
    """Return whether arrays of a dtype hold PRNG keys."""
    return bool(jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key))


def stored(leaf: Any) -> Any:
    """Return the shape and the dtype of what a leaf stores, which a key hides."""
    return jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf.dtype) else leaf


@to_state_dict.register((jax.Array, jax.ShapeDtypeStruct))
def _pairs(leaf: Any, parent: Path, /) -> list[Pair]:
    return [(list(parent), leaf)]


@spec.register(jax.Array)
def _spec(array: jax.Array, /) -> Spec:
    known = spec(stored(array)) if is_key(array.dtype) else _abstract(array)
    if array.is_deleted():
        return known
    return known._replace(nbytes=known.dtype.nbytes(math.prod(known.shape)))


@spec.register(jax.ShapeDtypeStruct)
def _abstract(leaf: Any, /) -> Spec:
    data = stored(leaf)
    return Spec(tuple(data.shape), dtype_of(data.dtype), 0)


@as_array.register(Jax, jax.Array)
def _same(kind: Jax, array: jax.Array, /) -> jax.Array:
    return array


@as_array.register(Numpy, jax.Array)
def _to_numpy(kind: Numpy, array: jax.Array, /) -> Array:
    if array.is_deleted():
        raise CatenError(
            f"{_described(array)} was deleted, as an array is that was donated to a function: use "
            f"the one that the function returned"
        )
    if is_key(array.dtype):
        array = jax.random.key_data(array)
    if array.is_fully_addressable:
        return np.asarray(array)
    if array.is_fully_replicated:
        return np.asarray(array.addressable_data(0))
    raise CatenError(
        f"{_described(array)} is divided over processes, and this one has only its own shards: "
        f"gather it first with jax.experimental.multihost_utils.process_allgather(x, tiled=True)"
    )


@as_array.register(Numpy, jax.ShapeDtypeStruct)
def _no_values(kind: Numpy, leaf: Any, /) -> Array:
    raise CatenError(
        f"{_described(leaf)} is an abstract shape without values: load values into it first"
    )


@as_array.register(Jax, np.ndarray)
def _from_numpy(kind: Jax, array: Array, /) -> jax.Array:
    return jax.device_put(own_array(array, array.dtype))


@as_array.register((jax.Array, jax.ShapeDtypeStruct))
def _for_place(place: Any, leaf: Any, /) -> Any:
    """Return the leaf as numpy's array, which is cast and placed when it replaces the old one."""
    return as_array(Numpy(), leaf)


def own_array(leaf: Any, dtype: Any) -> Array:
    """Return a leaf's values in memory of its own, in a dtype that JAX keeps.

    JAX reads an array of numpy later, or uses its memory, so that a caller's must not be passed on.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    require_kept(dtype)
    made = np.empty(spec(leaf).shape, dtype)
    with np.errstate(all="ignore"):  # the report says what a cast has lost
        with_bytes_copied(assign, made, leaf)
    return made


def require_kept(dtype: Any) -> None:
    """CatenError if JAX would make another dtype of this one without saying so, or has none."""
    kept = jax.dtypes.canonicalize_dtype(dtype)
    if not _is_known(dtype):
        raise CatenError(f"JAX has no dtype for {dtype}: convert the leaf to another dtype first")
    if kept != dtype:
        raise CatenError(
            f"JAX would narrow {dtype} to {kept}: allow 64 bits first, "
            f"jax.config.update('jax_enable_x64', True), or ask for dtype={kept.name!r}"
        )


def _is_known(dtype: Any) -> bool:
    """Return whether JAX has arrays of a dtype, if only where it allows 64 bits."""
    return dtype.name in DTYPES or bool(jax.numpy.issubdtype(dtype, jax.numpy.integer))


def _described(leaf: Any) -> str:
    return f"a {list(leaf.shape)} array of JAX ({leaf.dtype})"


@memory.register(jax.Array)
def _memory(array: jax.Array, /) -> Memory:
    """Return no block: nothing writes into the memory of an array that cannot be changed."""
    return Memory((), _itself)


def _itself(array: jax.Array) -> Hashable:
    return id(array)

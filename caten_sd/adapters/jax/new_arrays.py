"""How values get into slots with arrays of JAX: as new arrays on the same devices.

Of an array that is divided over devices, each device's part alone is read from the leaf.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

from caten_sd.adapters.jax.array_leaves import dtype_of, is_key, own_array, stored
from caten_sd.errors import LoadError
from caten_sd.objects.place import refusal, replacement
from caten_sd.state.derived import full_box, sliced
from caten_sd.state.dtype import DType, numpy_dtype
from caten_sd.state.leaf import LazyLeaf, Numpy, as_array, spec
from caten_sd.state.steps import Box

PLACES = (jax.Array, jax.ShapeDtypeStruct)


@refusal.register(jax.Array)
def _refusal(place: jax.Array, leaf: Any, /) -> str:
    return "an array of JAX cannot be changed: put a new one into the model"


@refusal.register(jax.ShapeDtypeStruct)
def _no_memory(place: Any, leaf: Any, /) -> str:
    return "an abstract shape has no memory: put an array into the model"


@replacement.register(PLACES)
def _replacement(
    place: Any, leaf: Any, /, *, dtype: DType | None = None, location: Any = None,
    copy: bool = False,
) -> jax.Array:  # fmt: skip
    where = _device_of(place) if location is None else _device_called(location)
    if not copy and dtype in (None, spec(leaf).dtype) and _is_there(place, leaf, where):
        return leaf
    data = stored(place)
    wanted = _numpy_dtype(data.dtype, spec(leaf).dtype if dtype is None else dtype, leaf)
    if is_key(place.dtype):
        _require_same_kind(place, leaf)
        return _key(place, own_array(leaf, data.dtype).reshape(data.shape), where)
    if isinstance(where, jax.sharding.Sharding) and spec(leaf).shape == place.shape:
        return _by_parts(place.shape, where, leaf, wanted)
    return jax.device_put(own_array(leaf, wanted).reshape(place.shape), where)


def _is_there(place: Any, leaf: Any, where: Any) -> bool:
    """Return whether a leaf can be what it replaces the place by, as it cannot be changed."""
    if not isinstance(leaf, jax.Array) or leaf.shape != place.shape or leaf.is_deleted():
        return False
    if is_key(leaf.dtype) or is_key(place.dtype):
        return leaf.dtype == place.dtype and where in (None, leaf.sharding)
    return where in (None, leaf.sharding, *(leaf.devices() if len(leaf.devices()) == 1 else ()))


def _numpy_dtype(own: Any, wanted: DType, leaf: Any) -> Any:
    """Return numpy's dtype for ours; some dtypes of JAX are not among ours."""
    if wanted == dtype_of(own):
        return own
    if isinstance(leaf, jax.Array) and wanted == dtype_of(leaf.dtype):
        return leaf.dtype
    return numpy_dtype(wanted)


def _device_of(place: Any) -> Any:
    """Return the sharding of a place; None where JAX may choose, as it did for the place."""
    return place.sharding if getattr(place, "committed", True) else None


def _device_called(location: Any) -> Any:
    if isinstance(location, (jax.Device, jax.sharding.Sharding)):
        return location
    platform, _, number = str(location).partition(":")
    if isinstance(location, str) and (number or "0").isdecimal():
        found = _devices(platform)
        if int(number or "0") < len(found):
            return found[int(number or "0")]
    raise LoadError(
        f"{location!r} is not a place for an array of JAX: pass one of jax.devices(), a sharding, "
        f"or the name of a platform such as 'cpu' or 'gpu:0'"
    )


def _devices(platform: str) -> list[Any]:
    try:
        return list(jax.devices(platform))
    except RuntimeError:  # JAX knows no such platform
        return []


def _by_parts(shape: Any, where: Any, leaf: Any, dtype: Any) -> jax.Array:
    """Read each device's part of a leaf by itself; devices with the same part share the read."""
    held = leaf if isinstance(leaf, LazyLeaf) else as_array(Numpy(), leaf)

    @functools.cache
    def part(ends: tuple[tuple[int, int], ...]) -> Any:
        box: Box = tuple(slice(*each) for each in ends)
        return own_array(held if box == full_box(shape) else sliced(held, box), dtype)

    def of(index: Any) -> Any:
        ends = (each.indices(n)[:2] for each, n in zip(index, shape, strict=True))
        return part(tuple(ends))

    return jax.make_array_from_callback(shape, where, of)


def _key(place: Any, data: Any, where: Any) -> jax.Array:
    """Return PRNG keys of the place's kind with this key data."""
    made = jax.random.wrap_key_data(jax.device_put(data), impl=_impl(place))
    return made if where is None else jax.device_put(made, where)


def _require_same_kind(place: Any, leaf: Any) -> None:
    """LoadError for live keys of another kind, whose data give other random numbers here."""
    if isinstance(leaf, jax.Array) and is_key(leaf.dtype) and leaf.dtype != place.dtype:
        raise LoadError(
            f"the keys are of kind {_impl(leaf)}, and those of the model of kind {_impl(place)}: "
            f"make the model's with impl={str(_impl(leaf))!r}"
        )


def _impl(place: Any) -> Any:
    """Return which kind of keys a place holds, which only arrays and traced arrays say."""
    found: list[Any] = []
    jax.eval_shape(lambda keys: found.append(jax.random.key_impl(keys)), place)
    return found[0]

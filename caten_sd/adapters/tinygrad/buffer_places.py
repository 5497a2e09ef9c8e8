"""How values get into slots with tensors of tinygrad: into their buffers, if they have any.

So a function that TinyJit has captured computes with the new values. tinygrad's own loader gives
the tensors other buffers, which such a function does not see.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tinygrad import Device, Tensor
from tinygrad.device import Buffer

from caten_sd.adapters.tinygrad.graph_tensors import (
    Tinygrad,
    buffer_of,
    strong,
    tinygrad_dtype,
)
from caten_sd.errors import LoadError
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.copied_bytes import with_bytes_copied
from caten_sd.state.dtype import DType, numpy_dtype
from caten_sd.state.leaf import as_array, spec


@refusal.register(Tensor)
def _refusal(place: Tensor, leaf: Any, /) -> str:
    if isinstance(place.device, str) and place.device.startswith("DISK"):
        return "it lies in a file: move it to a device in the model, with .to(None)"
    return ""


@assign.register(Tensor)
def _copy_into(place: Tensor, leaf: Any, /) -> None:
    known = spec(place)
    buffer, made = buffer_of(place), _own_array(leaf, known.dtype)
    if buffer is None:  # it was not computed, and now need not be
        place.replace(_on_device_of(place, made.reshape(known.shape)))
        return
    raw = memoryview(made.reshape(-1).view(np.uint8))
    buffer.copy_from(Buffer("PYTHON", buffer.size, buffer.dtype, opaque=raw))


def _own_array(leaf: Any, dtype: DType) -> Any:
    """Return a leaf's values in memory of their own, in a dtype that tinygrad has."""
    tinygrad_dtype(dtype)
    made = np.empty(spec(leaf).shape, numpy_dtype(dtype))
    with np.errstate(all="ignore"):  # the report says what a cast has lost
        with_bytes_copied(assign, made, leaf)
    return made


def _on_device_of(place: Tensor, array: Any, location: str | None = None) -> Tensor:
    """Return a tensor with these values where the place is; divided, if the place is."""
    made = as_array(Tinygrad(), array).is_param_(place.is_param)
    device = location or place.device
    if isinstance(device, tuple):
        return made.shard(device, place.uop.axis).is_param_(place.is_param)
    moved = made if device in (None, made.device) else made.to(device).realize()
    return moved.is_param_(place.is_param)


@replacement.register(Tensor)
def _replacement(
    place: Tensor, leaf: Any, /, *, dtype: DType | None = None, location: Any = None,
    copy: bool = False,
) -> Tensor:  # fmt: skip
    known, where = spec(leaf), _device_called(location)
    wanted = known.dtype if dtype is None else dtype
    if not copy and isinstance(leaf, Tensor) and known.shape == spec(place).shape:
        is_there = where is None or leaf.device == where
        if wanted == known.dtype and leaf.dtype == strong(leaf.dtype) and is_there:
            return leaf
    return _on_device_of(place, _own_array(leaf, wanted).reshape(spec(place).shape), where)


def _device_called(location: Any) -> str | None:
    """Return the name of a device that works; LoadError for what is none."""
    if location is None:
        return None
    try:
        name = Device.canonicalize(location)
        Device[name]
    except Exception as error:
        raise LoadError(
            f"{location!r} is not a device that tinygrad has here ({type(error).__name__}): pass "
            f"one such as {Device.DEFAULT!r}"
        ) from error
    return str(name)

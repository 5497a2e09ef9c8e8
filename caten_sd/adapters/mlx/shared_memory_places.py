"""How values get into slots with arrays of MLX, whose memory all devices share."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from caten_sd.adapters.mlx.lazy_arrays import new_array
from caten_sd.errors import LoadError
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import spec

_PLACES = ("cpu", "gpu", mx.cpu, mx.gpu)


@refusal.register(mx.array)
def _refusal(place: mx.array, leaf: Any, /) -> str:
    return ""


@assign.register(mx.array)
def _copy_into(place: mx.array, leaf: Any, /) -> None:
    """Give the array other values: of what it had, nothing is computed that was not yet."""
    place[...] = new_array(leaf, spec(place).dtype, place.shape)


@replacement.register(mx.array)
def _replacement(
    place: mx.array, leaf: Any, /, *, dtype: DType | None = None, location: Any = None,
    copy: bool = False,
) -> mx.array:  # fmt: skip
    if location is not None and location not in _PLACES and not isinstance(location, mx.Device):
        raise LoadError(
            f"an array of MLX is in memory that all devices share: it cannot go to {location!r}"
        )
    known = spec(leaf)
    same = dtype in (None, known.dtype) and known.shape == tuple(place.shape)
    if same and not copy and isinstance(leaf, mx.array):
        return leaf
    return new_array(leaf, known.dtype if dtype is None else dtype, place.shape)

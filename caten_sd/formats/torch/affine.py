"""torch's quantised tensors: integers with a scale and a zero point, kept as one leaf."""

from __future__ import annotations

from typing import Any

from caten_sd.encodings.pickle.inert_values import brief
from caten_sd.formats.torch.storage import Storage
from caten_sd.formats.torch.types import ELEMENTS
from caten_sd.state.leaf import (
    DTYPES,
    BlockTensor,
    DType,
    LazyTensor,
    Numpy,
    Opaque,
    as_array,
    dequantize,
)

_INTEGERS = {"torch.qint8": "int8", "torch.quint8": "uint8", "torch.qint32": "int32"}

_SCHEMES = ("torch.per_tensor_affine", "torch.per_channel_affine")


class Affine:
    """A block type whose value is ``(integer - zero_point) * scale``.

    Both are numbers, or leaves of one number for each index of ``axis``.
    """

    __slots__ = ("axis", "dtype", "integer", "scale", "shape", "zero_point")

    def __init__(
        self, name: str, shape: tuple[int, ...], scale: Any, zero_point: Any, axis: int | None
    ) -> None:
        self.integer = DTYPES[_INTEGERS[name]]
        self.dtype = DType(name.removeprefix("torch."), "block", self.integer.bits)
        self.shape, self.scale, self.zero_point, self.axis = shape, scale, zero_point, axis


@dequantize.register(Affine)
def _values(block_type: Affine, raw: Any, /) -> Any:
    """Return float32 values, rounded as torch rounds them."""
    import numpy as np

    integers = raw.view(block_type.integer.name)
    scale, zero_point = (
        np.asarray(as_array(Numpy(), part) if isinstance(part, LazyTensor) else part)
        for part in (block_type.scale, block_type.zero_point)
    )
    if block_type.axis is None:
        return (integers - zero_point).astype(np.float32) * scale.astype(np.float32)
    along = [1] * len(block_type.shape)
    along[block_type.axis] = -1
    shifted = integers.astype(np.float32) - zero_point.reshape(along).astype(np.float32)
    return (shifted * scale.reshape(along)).astype(np.float32)


def affine_leaf(storage: Storage, offset: Any, shape: Any, strides: Any, params: Any) -> Any:
    """Return the leaf that ``torch._utils._rebuild_qtensor`` stands for; Opaque for other schemes.

    ``params`` is (scheme, scale, zero point) or (scheme, scales, zero points, axis).
    """
    if type(params) is not tuple or len(params) not in (3, 4):
        raise ValueError("a quantised tensor has no scale and zero point")
    scheme, scale, zero_point, *axes = params
    name = storage.element.name
    if name not in _INTEGERS or getattr(scheme, "name", "") not in _SCHEMES:
        return Opaque(name, (shape, params))
    raw = storage.view(offset, shape, strides, ELEMENTS[_INTEGERS[name]])
    if raw.strides is not None or not shape or _is_fractional(zero_point):
        return Opaque(name, (shape, params))
    kind = Affine(name, shape, *_parts(shape, scale, zero_point, axes))
    count = (*shape[:-1], shape[-1] * kind.integer.itemsize)
    packed = LazyTensor(raw.source, raw.offset, DTYPES["uint8"], count)
    return BlockTensor(kind, packed, shape)


def _is_fractional(zero_point: Any) -> bool:
    """Tell torch's per_channel_affine_float_qparams, which it writes under the other's name."""
    return isinstance(zero_point, LazyTensor) and zero_point.dtype.kind == "float"


def _parts(shape: Any, scale: Any, zero_point: Any, axes: list[Any]) -> tuple[Any, Any, Any]:
    """Return scale, zero point and axis; ValueError where they do not fit the shape."""
    if not axes:
        if type(scale) is not float or type(zero_point) is not int:
            raise ValueError("a quantised tensor has a scale or zero point that is no number")
        return scale, zero_point, None
    axis = axes[0]
    if type(axis) is not int or not 0 <= axis < len(shape):
        raise ValueError(f"a quantised tensor has no axis {brief(axis)}")
    return _one_each(scale, shape[axis]), _one_each(zero_point, shape[axis]), axis


def _one_each(part: Any, count: int) -> Any:
    """Return the scales or zero points; ValueError unless there is one for each index."""
    if isinstance(part, LazyTensor) and part.shape == (count,):
        return part
    if type(part) is list and len(part) == count and all(type(n) in (int, float) for n in part):
        return part
    raise ValueError(f"a quantised tensor lacks one scale and zero point for each of {count}")

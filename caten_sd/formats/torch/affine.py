"""torch's quantized tensors: integers with a scale and a zero point, kept as one leaf."""

from __future__ import annotations

from typing import Any

from caten_sd.encodings.pickle.inert_values import brief
from caten_sd.formats.torch.storage import Storage
from caten_sd.formats.torch.types import ELEMENTS
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.c_order import contiguous
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import LazyLeaf, Numpy, Opaque, as_array, dequantize

_INTEGERS = {"torch.qint8": "int8", "torch.quint8": "uint8", "torch.qint32": "int32"}

_SCHEMES = ("torch.per_tensor_affine", "torch.per_channel_affine")


class Affine:
    """A block type whose values are ``(integer - zero_point) * scale``.

    ``scale`` and ``zero_point`` are numbers, or hold one number for each index of ``axis``.
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
        np.asarray(as_array(Numpy(), given) if isinstance(given, LazyTensor) else given)
        for given in (block_type.scale, block_type.zero_point)
    )
    if block_type.axis is None:
        return (integers - zero_point).astype(np.float32) * scale.astype(np.float32)
    per_axis = [1] * len(block_type.shape)
    per_axis[block_type.axis] = -1
    shifted = integers.astype(np.float32) - zero_point.reshape(per_axis).astype(np.float32)
    return (shifted * scale.reshape(per_axis)).astype(np.float32)


def affine_leaf(storage: Storage, offset: Any, shape: Any, strides: Any, params: Any) -> Any:
    """Return the leaf for ``torch._utils._rebuild_qtensor``; an Opaque for other schemes.

    ``params`` is (scheme, scale, zero point) or (scheme, scales, zero points, axis).
    """
    if type(params) is not tuple or len(params) not in (3, 4):
        raise ValueError("a quantized tensor has no scale and zero point")
    scheme, scale, zero_point, *axes = params
    name = storage.element.name
    if name not in _INTEGERS or getattr(scheme, "name", "") not in _SCHEMES:
        return Opaque(name, (shape, params))
    raw = storage.view(offset, shape, strides, ELEMENTS[_INTEGERS[name]])
    if _is_fractional(zero_point):
        return Opaque(name, (shape, params))
    block_type = Affine(name, shape, *_checked(shape, scale, zero_point, axes))
    return BlockTensor(block_type, _packed(raw), shape)


def _packed(raw: LazyTensor) -> LazyLeaf:
    """Return the bytes of a tensor of integers, in rows, whatever its strides are."""
    size = raw.dtype.itemsize
    if raw.strides is not None and size > 1:
        return _StridedBytes(raw)
    shape = (*raw.shape[:-1], raw.shape[-1] * size) if raw.shape else (size,)
    return LazyTensor(raw.source, raw.offset, DTYPES["uint8"], shape, raw.strides)


class _StridedBytes(LazyLeaf):
    """The bytes of integers that are not in C order in the file, in C order."""

    __slots__ = ("dtype", "leaf", "shape")

    def __init__(self, leaf: LazyTensor) -> None:
        self.leaf, self.dtype = leaf, DTYPES["uint8"]
        self.shape = (*leaf.shape[:-1], leaf.shape[-1] * leaf.dtype.itemsize)


@as_array.register(Numpy, _StridedBytes)
def _in_c_order(kind: Numpy, leaf: _StridedBytes, /) -> Any:
    return contiguous(as_array(kind, leaf.leaf)).view("u1")


def _is_fractional(zero_point: Any) -> bool:
    """Return whether the zero points are floats, of a scheme that files name as another one."""
    return isinstance(zero_point, LazyTensor) and zero_point.dtype.kind == "float"


def _checked(shape: Any, scale: Any, zero_point: Any, axes: list[Any]) -> tuple[Any, Any, Any]:
    """Return scale, zero point and axis; ValueError if they do not match the shape."""
    if not axes:
        if type(scale) is not float or type(zero_point) is not int:
            raise ValueError("the scale or the zero point of a quantized tensor is not a number")
        return scale, zero_point, None
    axis = axes[0]
    if type(axis) is not int or not 0 <= axis < len(shape):
        raise ValueError(f"a quantized tensor has no axis {brief(axis)}")
    return _one_each(scale, shape[axis]), _one_each(zero_point, shape[axis]), axis


def _one_each(values: Any, count: int) -> Any:
    """Return the scales or zero points; ValueError unless there is one for each index."""
    if isinstance(values, LazyTensor) and values.shape == (count,):
        return values
    is_list = type(values) is list and len(values) == count
    if is_list and all(type(value) in (int, float) for value in values):
        return values
    raise ValueError(f"a quantized tensor does not have {count} scales and {count} zero points")

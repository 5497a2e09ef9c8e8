"""Tensors of torch as leaves: their spec, and their values as tensors or numpy arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from caten_sd.errors import CatenError, NoApplicableMethodError
from caten_sd.objects.extract import to_state_dict
from caten_sd.state.dtype import DTYPES, DType, bfloat16_choice, numpy_dtype
from caten_sd.state.keys import Pair, Path
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Memory, Numpy, Spec, Torch, as_array, memory, spec
from caten_sd.state.nibbles import packed, unpacked
from caten_sd.wording import a_or_an

_WITHOUT_STORAGE = (NotImplementedError, RuntimeError, ValueError)  # sparse, lazy, a subclass
_PAIRED = getattr(torch, "float4_e2m1fn_x2", None)  # one element of torch holds two of ours


@functools.cache
def torch_dtype(dtype: DType) -> torch.dtype:
    """Return torch's dtype of the same name as ours."""
    paired = dtype.name == "float4_e2m1fn"
    found = _PAIRED if paired else getattr(torch, dtype.name, None)
    if not isinstance(found, torch.dtype):
        raise CatenError(
            f"torch has no dtype for {dtype}; convert the leaf to another dtype first"
            f"{bfloat16_choice(dtype)}"
        )
    return found


@functools.cache
def dtype_of(dtype: torch.dtype) -> DType:
    """Return our DType; it has the kind "other" where only torch has it (qint8, complex32)."""
    name = str(dtype).removeprefix("torch.").removesuffix("_x2")
    return DTYPES.get(name) or DType(name, "other", 8 * dtype.itemsize)


@spec.register(torch.Tensor)
def _spec(tensor: torch.Tensor, /) -> Spec:
    if tensor.is_nested:  # its rows have different lengths, so only their number is known
        nbytes = tensor.numel() * tensor.dtype.itemsize
        return Spec((tensor.size(0),), dtype_of(tensor.dtype), nbytes, "nested")
    try:
        known = _dense(tensor.shape, tensor.dtype, tensor.is_meta)
    except TypeError:  # the sizes of a FakeTensor may be symbols, which have no hash
        known = _dense.__wrapped__(tensor.shape, tensor.dtype, tensor.is_meta)
    if tensor.layout is torch.strided and not tensor.is_quantized:
        return known
    form = "quantized" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
    return known._replace(form=form)


@functools.lru_cache(1024)  # a model has many tensors of few shapes
def _dense(size: torch.Size, dtype: torch.dtype, is_meta: bool) -> Spec:
    shape = (*size[:-1], 2 * size[-1]) if dtype is _PAIRED and size else tuple(size)
    nbytes = 0 if is_meta else math.prod(size) * dtype.itemsize
    return Spec(shape, dtype_of(dtype), nbytes)


@spec.register((nn.UninitializedParameter, nn.UninitializedBuffer))
def _no_spec(tensor: torch.Tensor, /) -> Spec:
    raise NoApplicableMethodError(
        f"{a_or_an(type(tensor).__name__)} does not have a shape yet; call its module on an "
        f"input first"
    )


@as_array.register(Torch, torch.Tensor)
def _same(kind: Torch, tensor: torch.Tensor, /) -> torch.Tensor:
    return tensor


@as_array.register(Torch, np.ndarray)
def _from_numpy(kind: Torch, array: np.ndarray[Any, Any], /) -> torch.Tensor:
    dtype = torch_dtype(spec(array).dtype)
    if dtype is _PAIRED:
        return torch.from_numpy(packed(array)).view(dtype).reshape(_paired(array.shape))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(s < 0 or s % array.itemsize for s in array.strides):
        array = array.copy()  # torch warns of a read-only array and refuses such strides
    try:
        return torch.from_numpy(array)
    except TypeError:  # a dtype of ml_dtypes: view its bits as torch's dtype
        return torch.from_numpy(array.view(f"i{array.itemsize}")).view(dtype)


def _paired(shape: Sequence[int]) -> tuple[int, ...]:
    """Return torch's shape, which counts pairs of 4-bit elements, for ours, which counts each."""
    if not shape or shape[-1] % 2:
        raise CatenError(
            f"torch holds 4-bit floats in pairs along the last axis, and the shape {list(shape)} "
            f"leaves one over; pad the axis first"
        )
    return (*shape[:-1], shape[-1] // 2)


@as_array.register(Torch, LazyTensor)
def _from_file(kind: Torch, leaf: LazyTensor, /) -> torch.Tensor:
    if leaf.order != "<":
        return _from_numpy(kind, as_array(Numpy(), leaf))
    dtype = torch_dtype(leaf.dtype)
    raw = leaf.raw()
    if not raw:
        shape = _paired(leaf.shape) if dtype is _PAIRED else leaf.shape
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(raw) if raw.readonly else raw, dtype=dtype)
    if leaf.strides is not None:
        return flat.as_strided(leaf.shape, leaf.strides)
    return flat.reshape(_paired(leaf.shape) if dtype is _PAIRED else leaf.shape)


@as_array.register(Numpy, torch.Tensor)
def _to_numpy(kind: Numpy, tensor: torch.Tensor, /) -> np.ndarray[Any, Any]:
    if tensor.is_meta:
        raise CatenError(
            f"a {list(tensor.shape)} tensor is on the meta device and has no data: load a tensor "
            f"with values"
        )
    try:
        return _host_array(tensor.detach().cpu().resolve_conj().resolve_neg())
    except (RuntimeError, TypeError) as error:
        why = str(error).partition("\n")[0]
        raise CatenError(
            f"{a_or_an(type(tensor).__name__)} ({tensor.dtype}, {tensor.layout}, on "
            f"{tensor.device}) does "
            f"not have bytes that a numpy array can hold ({why}); make it dense first"
        ) from error


def _host_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    ours = dtype_of(tensor.dtype)
    if tensor.dtype is _PAIRED:
        raw = tensor.contiguous().view(torch.uint8).numpy()
        values: np.ndarray[Any, Any] = unpacked(raw, spec(tensor).shape)
        return values.view(numpy_dtype(ours))
    if ours.kind == "other" or hasattr(np, ours.name):
        return tensor.numpy()
    # Only ml_dtypes gives numpy this dtype.
    bits = getattr(torch, f"int{ours.bits}")
    return tensor.view(bits).numpy().view(numpy_dtype(ours))


@memory.register(torch.Tensor)
def _memory(tensor: torch.Tensor, /) -> Memory | None:
    """Return where a tensor is; one on the meta device, or without a storage, is nowhere."""
    try:
        block = tensor.untyped_storage().data_ptr()
    except _WITHOUT_STORAGE:
        return None
    return Memory((block,) if block else (), _place)


def _place(tensor: torch.Tensor) -> Hashable:
    try:
        at = tensor.data_ptr()
        return (at, tensor.dtype, tensor.shape, tensor.stride(), tensor.device) if at else None
    except _WITHOUT_STORAGE:
        return None


@to_state_dict.register(torch.Tensor)
def _pairs(tensor: torch.Tensor, parent: Path, /) -> list[Pair]:
    return [(list(parent), tensor)]

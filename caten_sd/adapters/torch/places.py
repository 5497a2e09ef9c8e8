"""How values get into tensors: copied into one that is there, or as a new one in its slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from caten_sd.adapters.torch.leaves import torch_dtype
from caten_sd.errors import LoadError
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.state.dtype import DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Torch, as_array
from caten_sd.state.pieces import PIECE

LAZY = (UninitializedParameter, UninitializedBuffer)
_KNOWN = {torch.Tensor, nn.Parameter}
_WRITABLE = {torch.strided, torch.sparse_coo}


@refusal.register(torch.Tensor)
def _refusal(place: torch.Tensor, leaf: Any, /) -> str | None:
    if _is_ordinary(place):  # as most are, and there may be many
        return ""
    if place.is_meta:
        return "it is on the meta device and has no memory: give the model memory with to_empty()"
    if place.is_nested or place.layout not in _WRITABLE:
        return "its memory has room for its own values alone: put a new one into the model"
    if type(place) not in _KNOWN:
        return None
    if place.is_inference() and not torch.is_inference_mode_enabled():
        return "it was made in inference mode: clone it in the model"
    if place.layout is not torch.strided or place.is_contiguous():
        return ""
    steps = zip(place.shape, place.stride(), strict=True)
    if any(size > 1 and not stride for size, stride in steps):
        return "several of its elements share memory: clone it in the model"
    return ""


def _is_ordinary(place: torch.Tensor) -> bool:
    """Return whether nothing about a tensor could keep it from taking a copy."""
    return (
        type(place) in _KNOWN
        and place.layout is torch.strided
        and not place.is_nested
        and place.is_contiguous()
        and not (place.is_meta or place.is_inference())
    )


@as_array.register(torch.Tensor)
def _like_tensor(place: torch.Tensor, leaf: Any, /) -> torch.Tensor:
    """Return the leaf as a tensor that can be copied into ``place``."""
    tensor: torch.Tensor = leaf if type(leaf) is torch.Tensor else as_array(Torch(), leaf)
    return tensor


@assign.register(torch.Tensor)
def _copy_into(place: torch.Tensor, leaf: Any, /) -> None:
    if isinstance(leaf, LazyTensor) and _read_into(place, leaf):
        return
    tensor = _like_tensor(place, leaf)
    if tensor.shape != place.shape:
        tensor = tensor.reshape(place.shape)
    _copy(place, tensor)


def _copy(place: torch.Tensor, tensor: torch.Tensor) -> None:
    """Copy without a record for autograd; ``no_grad()`` would take longer than a small copy."""
    recorded = torch.is_grad_enabled()
    try:
        torch._C._set_grad_enabled(False)
        place.copy_(tensor)
    finally:
        torch._C._set_grad_enabled(recorded)


def _read_into(place: torch.Tensor, leaf: LazyTensor) -> bool:
    """Read a leaf from its file into the tensor's own memory; return whether that is possible."""
    if not (_is_open(place) and leaf.strides is None and leaf.order == "<" and leaf.dtype.itemsize):
        return False
    if place.numel() * leaf.dtype.itemsize != leaf.extent:
        return False
    if place.numel():
        # reshape() may keep the step of an axis of one element, which no view of bytes takes.
        flat = place.detach().as_strided((place.numel(),), (1,))
        if place.dtype == torch_dtype(leaf.dtype):
            leaf.read_into(_bytes_of(flat))
        else:
            _read_cast(flat, leaf)
        torch.autograd.graph.increment_version(place)
    return True


def _is_open(place: torch.Tensor) -> bool:
    """Return whether the values of a tensor are its bytes on the host, one after another."""
    return (
        type(place) in _KNOWN
        and place.device.type == "cpu"
        and place.layout is torch.strided
        and place.is_contiguous()
        and not (place.is_conj() or place.is_neg() or place.is_quantized)
    )


def _bytes_of(flat: torch.Tensor) -> memoryview:
    data: memoryview = flat.view(torch.uint8).numpy().data
    return data


def _read_cast(flat: torch.Tensor, leaf: LazyTensor) -> None:
    """Read a leaf of another dtype by one buffer, which stays in the processor's cache."""
    size = leaf.dtype.itemsize
    buffer = torch.empty(PIECE // size, dtype=torch_dtype(leaf.dtype), device="cpu")
    for start in range(0, flat.numel(), buffer.numel()):
        target = flat[start : start + buffer.numel()]
        piece = buffer[: target.numel()]
        leaf.source.read_into(leaf.offset + start * size, _bytes_of(piece))
        target.copy_(piece)


@refusal.register(LAZY)
def _takes_any_shape(place: Any, leaf: Any, /) -> str:
    return ""


@assign.register(LAZY)
def _give_shape(place: Any, leaf: Any, /) -> None:
    """Give a lazy module's parameter the leaf's shape; the module stays lazy until it is called."""
    tensor: torch.Tensor = as_array(Torch(), leaf)
    place.materialize(tensor.shape)
    _copy(place, tensor)


@replacement.register(LAZY)
def _of_any_shape(
    place: Any, leaf: Any, /, *, dtype: Any = None, location: Any = None, copy: bool = False
) -> torch.Tensor:
    tensor = _like_tensor(place, leaf).detach()
    moved = _moved(tensor, location, place.device if copy else tensor.device)
    moved = tensor.clone() if copy and moved is tensor else moved
    if isinstance(place, nn.Parameter):
        return nn.Parameter(moved, requires_grad=place.requires_grad)
    return moved


@replacement.register(torch.Tensor)
def _replacement(
    place: torch.Tensor,
    leaf: Any,
    /,
    *,
    dtype: DType | None = None,
    location: Any = None,
    copy: bool = False,
) -> torch.Tensor:
    given = _like_tensor(place, leaf)
    tensor = given.detach()
    if place.is_nested:
        _require_rows(place, tensor)
    elif tensor.shape != place.shape:
        tensor = tensor.reshape(place.shape)
    default = place.device if copy and not place.is_meta else tensor.device
    moved = _moved(tensor, location, default)
    if dtype and torch_dtype(dtype) != moved.dtype:
        moved = moved.to(torch_dtype(dtype))
    if copy and _share_memory(moved, tensor):
        moved = tensor.clone()
    if isinstance(place, nn.Parameter):
        return _parameter_like(place, moved)
    reshaped = moved is not tensor or (not place.is_nested and given.shape != place.shape)
    if not reshaped and type(given) is torch.Tensor and given.requires_grad == place.requires_grad:
        return given
    return moved.requires_grad_(place.requires_grad)


def _require_rows(place: torch.Tensor, tensor: torch.Tensor) -> None:
    """LoadError unless two nested tensors have rows of the same shapes."""
    here, there = ([list(row.shape) for row in each.unbind()] for each in (place, tensor))
    if here != there:
        raise LoadError(f"its rows are {there} in the file and {here} in the model")


def _parameter_like(place: nn.Parameter, values: torch.Tensor) -> nn.Parameter:
    """Return a parameter of the class of ``place``, with the attributes of that class."""
    if nn.Parameter not in type(place).__mro__[1:] or type(values) is not torch.Tensor:
        return nn.Parameter(values, requires_grad=place.requires_grad)
    made: nn.Parameter = torch.Tensor._make_subclass(type(place), values, place.requires_grad)
    made.__dict__.update(place.__dict__)
    return made


def _share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors share memory; a subclass may have none of its own."""
    if one is other or type(one) not in _KNOWN:
        return one is other
    if one.layout is not torch.strided:
        return False
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _moved(tensor: torch.Tensor, location: Any, default: torch.device) -> torch.Tensor:
    """Move a tensor as the map_location of ``torch.load`` says, else to the default device."""
    if callable(location):
        storage = location(tensor.untyped_storage(), str(tensor.device))
        if storage is None:
            return tensor.to(default)
        place = torch.empty(0, dtype=tensor.dtype, device=storage.device)
        return place.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())
    if isinstance(location, Mapping):
        location = location.get(str(tensor.device), location.get(tensor.device))
    device = default if location is None else torch.device(location)
    return tensor if tensor.device == device else tensor.to(device)

"""torch: tensors as leaves and places, modules as ``module.state_dict()`` sees them."""

from __future__ import annotations

import functools
from abc import ABC
from typing import Any

import numpy as np
import torch
from torch import nn

from caten_sd.errors import CatenError
from caten_sd.extract import AttrsInstance, DataclassInstance, children, to_state_dict
from caten_sd.place import Slot, assign
from caten_sd.state_dict import Name, Pair, Path
from caten_sd.tensor import (
    DTYPES,
    BlockTensor,
    DType,
    LazyTensor,
    Numpy,
    Spec,
    Torch,
    as_array,
    numpy_dtype,
    spec,
    spec_of,
)

_PAIRED = getattr(torch, "float4_e2m1fn_x2", None)  # one element of torch's holds two of ours


@functools.cache
def torch_dtype(dtype: DType) -> torch.dtype:
    """Return torch's dtype for ours, which has the same name."""
    if dtype.name == "float4_e2m1fn" and _PAIRED is not None:
        return _PAIRED
    found = getattr(torch, dtype.name, None)
    if not isinstance(found, torch.dtype):
        raise CatenError(f"torch has no dtype for {dtype}; convert the leaf to another dtype first")
    return found


@functools.cache
def dtype_of(dtype: torch.dtype) -> DType:
    """Return our DType; torch's own (quantised, complex32) is of kind "other"."""
    name = str(dtype).removeprefix("torch.").removesuffix("_x2")
    return DTYPES.get(name) or DType(name, "other", 8 * dtype.itemsize)


@spec.register(torch.Tensor)
def _spec(tensor: torch.Tensor, /) -> Spec:
    shape = tuple(tensor.shape)
    if tensor.dtype is _PAIRED and shape:
        shape = (*shape[:-1], 2 * shape[-1])
    return spec_of(shape, dtype_of(tensor.dtype))


@as_array.register(Torch, torch.Tensor)
def _same(kind: Torch, tensor: torch.Tensor, /) -> torch.Tensor:
    return tensor


@as_array.register(Torch, np.ndarray)
def _from_numpy(kind: Torch, array: np.ndarray[Any, Any], /) -> torch.Tensor:
    dtype = torch_dtype(spec(array).dtype)
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()  # torch would warn of the one and refuse the other
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    try:
        return torch.from_numpy(array)
    except TypeError:  # a dtype of ml_dtypes: the same bits under torch's name
        return torch.from_numpy(array.view(f"i{array.itemsize}")).view(dtype)


@as_array.register(Torch, LazyTensor)
def _from_file(kind: Torch, leaf: LazyTensor, /) -> torch.Tensor:
    if leaf.order != "<":
        return _from_numpy(kind, as_array(Numpy(), leaf))
    dtype = torch_dtype(leaf.dtype)
    raw = leaf.raw()
    if not raw:
        return torch.empty(leaf.shape, dtype=dtype)
    flat = torch.frombuffer(bytearray(raw) if raw.readonly else raw, dtype=dtype)
    if leaf.strides is not None:
        return flat.as_strided(leaf.shape, leaf.strides)
    if dtype is _PAIRED:
        return flat.reshape(*leaf.shape[:-1], leaf.shape[-1] // 2)
    return flat.reshape(leaf.shape)


@as_array.register(Torch, BlockTensor)
def _unpacked(kind: Torch, leaf: BlockTensor, /) -> torch.Tensor:
    return _from_numpy(kind, as_array(Numpy(), leaf))


@as_array.register(Numpy, torch.Tensor)
def _to_numpy(kind: Numpy, tensor: torch.Tensor, /) -> np.ndarray[Any, Any]:
    host = tensor.detach().cpu().resolve_conj().resolve_neg()
    try:
        return host.numpy()
    except TypeError:  # numpy knows the dtype through ml_dtypes only
        bits = getattr(torch, f"int{8 * host.dtype.itemsize}")
        return host.view(bits).numpy().view(numpy_dtype(dtype_of(host.dtype)))


@as_array.register(torch.Tensor)
def _like_tensor(kind: torch.Tensor, leaf: Any, /) -> torch.Tensor:
    """Return the leaf as what can lie where a tensor or parameter lies, trained if that is."""
    tensor: torch.Tensor = as_array(Torch(), leaf)
    if isinstance(kind, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=kind.requires_grad)
    return tensor


@assign.register(torch.Tensor)
def _copy_into(place: torch.Tensor, leaf: Any, /) -> None:
    with torch.no_grad():
        place.copy_(as_array(Torch(), leaf).reshape(place.shape))


@assign.around(Slot)
def _set_extra_state(call_next_method: Any, slot: Slot, leaf: Any, /) -> None:
    if slot.name == "_extra_state" and isinstance(slot.owner, nn.Module):
        slot.owner.set_extra_state(leaf)
    else:
        call_next_method(slot, leaf)


class DeclaredModule(AttrsInstance, DataclassInstance):
    """A ``torch.nn.Module`` that is an attrs class or a dataclass too: torch says what its state is."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        declared = issubclass(other, AttrsInstance) or issubclass(other, DataclassInstance)
        return declared and issubclass(other, nn.Module) if cls is DeclaredModule else NotImplemented


@to_state_dict.register(torch.Tensor)
def _pairs(tensor: torch.Tensor, parent: Path, /) -> list[Pair]:
    return [(parent, tensor)]


@to_state_dict.register((nn.Module, DeclaredModule))
def _module_pairs(module: nn.Module, parent: Path, /) -> list[Pair]:
    """Return what ``module.state_dict(keep_vars=True)`` holds, in its order."""
    if not _is_plain(module):
        return _pairs_by_torch(module, parent)
    pairs: list[Pair] = []
    for name, parameter in module._parameters.items():
        if parameter is not None:
            pairs.append(([*parent, _element(name)], parameter))
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            pairs.append(([*parent, _element(name)], buffer))
    if type(module).get_extra_state is not nn.Module.get_extra_state:
        pairs.append(([*parent, "_extra_state"], module.get_extra_state()))
    if module._modules:
        named = module._modules.items()
        pairs += children(
            module, parent, [(_element(name), child) for name, child in named if child is not None]
        )
    return pairs


def _is_plain(module: nn.Module) -> bool:
    """Tell whether torch's own walk is all there is to this module's part of its state dict."""
    return not (
        module._state_dict_hooks
        or module._state_dict_pre_hooks
        or type(module).state_dict is not nn.Module.state_dict
        or type(module)._save_to_state_dict is not nn.Module._save_to_state_dict
        or "state_dict" in module.__dict__
    )


def _pairs_by_torch(module: nn.Module, parent: Path) -> list[Pair]:
    """Let torch run the hooks and overrides, which may look at everything below this module."""
    prefix = "".join(f"{part}." for part in parent)
    state = module.state_dict(prefix=prefix, keep_vars=True)
    return [
        ([*parent, *map(_element, key.removeprefix(prefix).split("."))], leaf)
        for key, leaf in state.items()
    ]


def _element(name: str) -> str:
    """Return a name given by torch as a path's element: data, so it keeps its hyphens."""
    return Name(name) if "-" in name else name

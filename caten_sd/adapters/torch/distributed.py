"""DTensors: each process's part of a tensor as a place, and the processes that hold one together.

torch.distributed.tensor takes half a second to import; whoever holds a DTensor has imported it, so
here it is named until one is met.
"""

# ruff: noqa: B024 (an ABC is what can say by a hook which classes belong to it)

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from caten_sd.errors import CatenError, LoadError
from caten_sd.loading.place import Slot, assign, ready, refusal, replacement
from caten_sd.mapping.derived import derive
from caten_sd.mapping.narrowing import part, whole
from caten_sd.mapping.steps import Reorder
from caten_sd.sharing import Group, Share, group, share
from caten_sd.tensor import DType, Numpy, as_array, spec

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


class Divided(ABC):
    """Stands for ``torch.distributed.tensor.DTensor``."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not Divided:
            return NotImplemented
        return any(
            each.__name__ == "DTensor" and each.__module__.startswith("torch.distributed.")
            for each in other.__mro__
        )


class Shard(Share):
    """This process's part of a DTensor: ``axes`` are the indices of the whole that lie in it."""

    def __init__(self, tensor: DTensor) -> None:
        super().__init__(local(tensor))
        self.tensor = tensor
        self.axes = indices(tensor)

    def part(self, leaf: Any) -> Any:
        """Return the part of a leaf of the whole's shape that belongs to this process, unread."""
        if isinstance(leaf, Divided):
            return self._part_of_another(leaf)
        if not self.place.numel():
            return torch.empty(self.place.shape, dtype=self.place.dtype)
        if spec(leaf).shape != tuple(self.tensor.shape):  # one element for a place of no axes
            return leaf
        box = tuple(slice(min(axis), max(axis) + 1) for axis in self.axes)
        found = leaf if box == whole(self.tensor.shape) else part(leaf, box)
        for number, axis in enumerate(self.axes):
            if len(axis) < box[number].stop - box[number].start:
                order = tuple(index - box[number].start for index in axis)
                found = derive(Reorder(number, order), [found])
        return found

    def _part_of_another(self, leaf: Any) -> torch.Tensor:
        if indices(leaf) != self.axes:
            raise LoadError(
                f"it is divided as {_words(leaf)} and its place as {_words(self.tensor)}: write it "
                f"to a distributed checkpoint and load that, or redistribute() it first"
            )
        return local(leaf)

    def whole(self, new: Any) -> Any:
        """Return a DTensor, divided as the old one, of which ``new`` is this process's part."""
        from torch.distributed.tensor import DTensor

        old = self.tensor
        made: torch.Tensor = DTensor.from_local(
            new.to(old.device_mesh.device_type).contiguous(),
            old.device_mesh,
            old.placements,
            run_check=False,
            shape=old.shape,
            stride=old.stride(),
        )
        if isinstance(old, nn.Parameter):
            return nn.Parameter(made, requires_grad=old.requires_grad)
        return made


def local(tensor: DTensor) -> torch.Tensor:
    """Return this process's part of a DTensor; what is written into it is in the DTensor."""
    with torch.no_grad():
        return tensor.to_local()


def indices(tensor: DTensor) -> tuple[Sequence[int], ...]:
    """Return for every axis which indices of the whole lie in this process, in order.

    As torch divides: an axis may be divided by several dimensions of the mesh, unevenly.
    """
    axes: list[Sequence[int]] = [range(n) for n in tensor.shape]
    mesh = tensor.device_mesh
    here = mesh.get_coordinate()
    if here is None:
        return tuple(range(0) for _ in axes)
    for dimension, placement in enumerate(tensor.placements):
        if hasattr(placement, "dim"):
            count, factor = mesh.size(dimension), int(getattr(placement, "split_factor", 1))
            pieces = [_chunk(axes[placement.dim], factor, n) for n in range(factor)]
            axes[placement.dim] = _joined([_chunk(each, count, here[dimension]) for each in pieces])
    return tuple(axes)


def _chunk(axis: Sequence[int], count: int, number: int) -> Sequence[int]:
    """Return a piece of an axis as torch.chunk cuts it."""
    size = -(-len(axis) // count)
    return axis[size * number : size * (number + 1)]


def _joined(pieces: Sequence[Sequence[int]]) -> Sequence[int]:
    """Return the pieces as one, which is a range where they follow each other."""
    filled = [piece for piece in pieces if len(piece)]
    if len(filled) < 2:
        return filled[0] if filled else range(0)
    every = [index for piece in filled for index in piece]
    run = range(every[0], every[-1] + 1)
    return run if len(run) == len(every) else every


def _words(tensor: DTensor) -> str:
    return f"{list(map(str, tensor.placements))} over {tensor.device_mesh.size()} processes"


def is_whole(tensor: DTensor) -> bool:
    """Tell whether this process has all of the tensor's values, as where it is replicated."""
    sizes = [tensor.device_mesh.size(n) for n in range(tensor.device_mesh.ndim)]
    known = zip(tensor.placements, sizes, strict=True)
    return all(placement.is_replicate() or size == 1 for placement, size in known)


@share.register(Divided)
def _share(place: DTensor, /) -> Share:
    return Shard(place)


@group.register(Divided)
def _group(leaf: DTensor, /, *, leaves: Sequence[DTensor]) -> Group | None:
    from caten_sd.adapters.torch.processes import Processes

    meshes = list(dict.fromkeys(each.device_mesh for each in leaves))
    return Processes(meshes) if any(mesh.size() > 1 for mesh in meshes) else None


@as_array.register(Numpy, Divided)
def _to_numpy(kind: Numpy, tensor: DTensor, /) -> Any:
    """Return the values where this process has all of them; what it lacks is never gathered."""
    if not is_whole(tensor):
        raise CatenError(
            f"a {list(tensor.shape)} tensor is divided ({_words(tensor)}), and this process has "
            f"its own part only: gather it first with full_tensor(), or take to_local()"
        )
    return as_array(kind, local(tensor))


@refusal.register(Divided)
def _refusal(place: DTensor, /) -> str | None:
    if any(placement.is_partial() for placement in place.placements):
        return "its processes hold summands of it: redistribute() it first"
    own = Shard(place)
    if own.place.numel() and own.place.shape != torch.Size(map(len, own.axes)):
        return f"{_words(place)} divides {list(place.shape)} in a way that is not known here"
    return refusal(own.place)


@ready.register(Divided)
def _ready(place: DTensor, leaf: Any, /) -> Any:
    return as_array(Numpy(), leaf)


@ready.register(torch.Tensor, Divided)
def _not_ready(place: torch.Tensor, leaf: DTensor, /) -> torch.Tensor:
    if is_whole(leaf):
        return local(leaf)
    raise LoadError(
        f"it is divided ({_words(leaf)}) and its place is whole: gather it with full_tensor(), or "
        f"divide the model too"
    )


@assign.register(Divided)
def _copy_into(place: DTensor, leaf: Any, /) -> None:
    own = Shard(place)
    assign(own.place, own.part(leaf))


@assign.after(Slot, Divided)
def _tell_its_owner(slot: Slot, leaf: DTensor, /) -> None:
    """Let FSDP know of a new parameter, as torch's own load does; it keeps the old one else."""
    for hook in getattr(slot.owner, "_load_state_dict_post_hooks", {}).values():
        if str(getattr(hook, "__module__", "")).startswith("torch.distributed.fsdp"):
            hook(slot.owner, None)


@replacement.register(Divided)
def _replacement(
    place: DTensor,
    leaf: Any,
    /,
    *,
    dtype: DType | None = None,
    location: Any = None,
    copy: bool = False,
) -> Any:
    own = Shard(place)
    new = replacement(own.place, own.part(leaf), dtype=dtype, location=location, copy=copy)
    return own.whole(new)

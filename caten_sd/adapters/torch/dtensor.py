"""Which part of a DTensor lies in this process: its shard, and the shard's indices."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from caten_sd.errors import LoadError
from caten_sd.objects.shards import LocalShard
from caten_sd.state.derived import derive, full_box, sliced
from caten_sd.state.leaf import spec
from caten_sd.state.steps import Reorder

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


class Divided(ABC):  # noqa: B024
    """Stands for ``torch.distributed.tensor.DTensor``."""

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        if cls is not Divided:
            return NotImplemented
        return any(
            each.__name__ == "DTensor" and each.__module__.startswith("torch.distributed.")
            for each in other.__mro__
        )


class DTensorShard(LocalShard):
    """This process's shard of a DTensor; ``axes`` are its indices in the DTensor, axis by axis."""

    def __init__(self, tensor: DTensor) -> None:
        super().__init__(local(tensor))
        self.tensor = tensor
        self.axes = indices(tensor)

    def slice_of(self, leaf: Any) -> Any:
        """Return the part of a leaf that belongs to this shard, without reading the leaf."""
        if isinstance(leaf, Divided):
            return self._shard_of(leaf)
        if not self.place.numel():
            return torch.empty(self.place.shape, dtype=self.place.dtype)
        if spec(leaf).shape != tuple(self.tensor.shape):  # one element for a slot without axes
            return leaf
        box = tuple(slice(min(axis), max(axis) + 1) for axis in self.axes)
        found = leaf if box == full_box(self.tensor.shape) else sliced(leaf, box)
        for number, axis in enumerate(self.axes):
            if len(axis) < box[number].stop - box[number].start:
                order = tuple(index - box[number].start for index in axis)
                found = derive(Reorder(number, order), [found])
        return found

    def _shard_of(self, leaf: Any) -> torch.Tensor:
        if indices(leaf) != self.axes:
            raise LoadError(
                f"it is divided as {described(leaf)} and its slot as {described(self.tensor)}: "
                f"write it to a distributed checkpoint and load that, or redistribute() it first"
            )
        return local(leaf)

    def full(self, new: Any) -> Any:
        """Return a DTensor that is divided like the old one and has ``new`` as its shard here."""
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
    """Return this process's shard of a DTensor, which shares the DTensor's memory."""
    with torch.no_grad():
        return tensor.to_local()


def indices(tensor: DTensor) -> tuple[Sequence[int], ...]:
    """Return for each axis the indices of the DTensor that lie in this process, in order.

    Several dimensions of the mesh may divide one axis, and unevenly, as torch does it.
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
    """Return one of ``count`` pieces of an axis, as torch.chunk cuts it."""
    size = -(-len(axis) // count)
    return axis[size * number : size * (number + 1)]


def _joined(pieces: Sequence[Sequence[int]]) -> Sequence[int]:
    """Join pieces of an axis; the result is a range if they follow each other."""
    filled = [piece for piece in pieces if len(piece)]
    if len(filled) < 2:
        return filled[0] if filled else range(0)
    every = [index for piece in filled for index in piece]
    run = range(every[0], every[-1] + 1)
    return run if len(run) == len(every) else every


def described(tensor: DTensor) -> str:
    """Return the placements of a DTensor and the number of its processes, for a message."""
    count = tensor.device_mesh.size()
    return f"{list(map(str, tensor.placements))} over {count} process{'es' if count > 1 else ''}"


def has_all_values(tensor: DTensor) -> bool:
    """Return whether this process has all values of a DTensor, as when it is replicated."""
    sizes = [tensor.device_mesh.size(n) for n in range(tensor.device_mesh.ndim)]
    known = zip(tensor.placements, sizes, strict=True)
    return all(placement.is_replicate() or size == 1 for placement, size in known)

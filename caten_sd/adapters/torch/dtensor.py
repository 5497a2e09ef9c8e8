"""Which part of a DTensor lies in this process: its shard, and the shard's indices."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

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

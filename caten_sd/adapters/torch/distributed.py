"""DTensors as leaves and as slots: each process reads and writes its own shard only.

torch.distributed.tensor takes half a second to import, so nothing here imports it before a DTensor
is met, whose owner has imported it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from caten_sd.adapters.torch.dtensor import Divided, described, has_all_values, indices, local
from caten_sd.errors import CatenError, LoadError
from caten_sd.objects.place import assign, refusal, replacement
from caten_sd.objects.shards import LocalShard, ProcessGroup, local_shard
from caten_sd.state.derived import derive, full_box, sliced
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Numpy, as_array, spec
from caten_sd.state.steps import Reorder

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


class DTensorShard(LocalShard):
    """This process's shard of a DTensor; ``axes`` are its indices in the DTensor, axis by axis."""

    def __init__(self, tensor: DTensor) -> None:
        super().__init__(local(tensor))
        self.tensor = tensor
        self.axes = indices(tensor)

    @property
    def refusal(self) -> str:  # type: ignore[override]
        """Why the processes cannot load the DTensor together, or ""."""
        if any(placement.is_partial() for placement in self.tensor.placements):
            return "its processes hold summands of it: redistribute() it first"
        if self.place.numel() and self.place.shape != torch.Size(map(len, self.axes)):
            return (
                f"its shard is {list(self.place.shape)}, and {described(self.tensor)} would make "
                f"it {[len(axis) for axis in self.axes]} of {list(self.tensor.shape)}: "
                f"redistribute() it first"
            )
        return ""

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

    def processes(self, places: Sequence[Any]) -> ProcessGroup | None:
        """Return the processes of the meshes that divide these DTensors, if there are several."""
        from caten_sd.adapters.torch.processes import Processes

        meshes = list(dict.fromkeys(each.device_mesh for each in places))
        return Processes(meshes) if any(mesh.size() > 1 for mesh in meshes) else None

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


@local_shard.register(Divided)
def _local_shard(place: DTensor, /) -> LocalShard:
    return DTensorShard(place)


@as_array.register(Numpy, Divided)
def _to_numpy(kind: Numpy, tensor: DTensor, /) -> Any:
    """Return the values if this process has all of them; the others' shards are never gathered."""
    if not has_all_values(tensor):
        raise CatenError(
            f"a {list(tensor.shape)} tensor is divided ({described(tensor)}), and this process has "
            f"only its own shard: gather it first with full_tensor(), or take to_local()"
        )
    return as_array(kind, local(tensor))


@refusal.register(Divided)
def _refusal(place: DTensor, leaf: Any, /) -> str | None:
    own = DTensorShard(place)
    return own.refusal or refusal(own.place, own.place)


@refusal.register(torch.Tensor, Divided)
def _gathered_first(call_next_method: Any, place: torch.Tensor, leaf: DTensor, /) -> Any:
    if isinstance(place, Divided) or has_all_values(leaf):
        return call_next_method(place, leaf)
    return (
        f"it is divided ({described(leaf)}) and its slot is not: gather it with full_tensor(), or "
        f"divide the model too"
    )


@as_array.register(Divided)
def _like_divided(place: DTensor, leaf: Any, /) -> Any:
    return as_array(Numpy(), leaf)


@as_array.register(torch.Tensor, Divided)
def _whole(place: torch.Tensor, leaf: DTensor, /) -> torch.Tensor:
    if reason := refusal(place, leaf):
        raise LoadError(reason)
    return local(leaf)


@assign.register(Divided)
def _copy_into(place: DTensor, leaf: Any, /) -> None:
    own = DTensorShard(place)
    assign(own.place, own.slice_of(leaf))


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
    own = DTensorShard(place)
    new = replacement(own.place, own.slice_of(leaf), dtype=dtype, location=location, copy=copy)
    return own.full(new)

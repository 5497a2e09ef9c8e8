"""DTensors as leaves and as slots: each process reads and writes its own shard only.

torch.distributed.tensor takes half a second to import, so nothing here imports it before a DTensor
is met, whose owner has imported it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from caten_sd.adapters.torch.dtensor import (
    Divided,
    DTensorShard,
    described,
    has_all_values,
    local,
)
from caten_sd.errors import CatenError, LoadError
from caten_sd.objects.place import Slot, assign, ready, refusal, replacement
from caten_sd.objects.shards import LocalShard, ProcessGroup, local_shard, process_group
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Numpy, as_array

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


@local_shard.register(Divided)
def _local_shard(place: DTensor, /) -> LocalShard:
    return DTensorShard(place)


@process_group.register(Divided)
def _process_group(leaf: DTensor, /, *, leaves: Sequence[DTensor]) -> ProcessGroup | None:
    from caten_sd.adapters.torch.processes import Processes

    meshes = list(dict.fromkeys(each.device_mesh for each in leaves))
    return Processes(meshes) if any(mesh.size() > 1 for mesh in meshes) else None


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
def _refusal(place: DTensor, /) -> str | None:
    if any(placement.is_partial() for placement in place.placements):
        return "its processes hold summands of it: redistribute() it first"
    own = DTensorShard(place)
    if own.place.numel() and own.place.shape != torch.Size(map(len, own.axes)):
        return (
            f"its shard is {list(own.place.shape)}, and {described(place)} would make it "
            f"{[len(axis) for axis in own.axes]} of {list(place.shape)}: redistribute() it first"
        )
    return refusal(own.place)


@ready.register(Divided)
def _ready(place: DTensor, leaf: Any, /) -> Any:
    return as_array(Numpy(), leaf)


@ready.register(torch.Tensor, Divided)
def _not_ready(place: torch.Tensor, leaf: DTensor, /) -> torch.Tensor:
    if has_all_values(leaf):
        return local(leaf)
    raise LoadError(
        f"it is divided ({described(leaf)}) and its slot is not: gather it with full_tensor(), or "
        f"divide the model too"
    )


@assign.register(Divided)
def _copy_into(place: DTensor, leaf: Any, /) -> None:
    own = DTensorShard(place)
    assign(own.place, own.slice_of(leaf))


@assign.after(Slot, Divided)
def _run_fsdp_hooks(slot: Slot, leaf: DTensor, /) -> None:
    """Let FSDP find its new parameter, as torch's own load does; else it keeps the old one."""
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
    own = DTensorShard(place)
    new = replacement(own.place, own.slice_of(leaf), dtype=dtype, location=location, copy=copy)
    return own.full(new)

"""The functions that the tests of distributed models run in every process."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from caten_sd import get_state_dict, load_state_dict, plan_load, read_state_dict, write_state_dict
from caten_sd.adapters.torch.dtensor import indices
from caten_sd.adapters.torch.saving import NumberedWriter
from caten_sd.errors import CatenError, LoadError
from caten_sd.files.file_set import FileSet
from caten_sd.state.derived import derive
from caten_sd.state.steps import Permute
from tests.adapters.torch.divided import (
    Net,
    counted,
    differing,
    mesh,
    net,
    nothing_gathered,
    own_bytes,
    values,
    whole,
)

TORCHS_OWN = ["FSDP is switching to", "The `NO_SHARD` sharding", "FSDP2-wrapped module .* view"]


def axes_are_torchs(folder: Path) -> int:
    """Compare the indices of each shard with the shard that torch itself made."""
    world, checked = dist.get_world_size(), 0
    meshes = [mesh(world)] + ([mesh(2, world // 2)] if world > 2 else [])
    kinds = [Shard(0), Shard(1), Replicate()]
    for grid, shape in itertools.product(meshes, [(8, 4), (5, 7), (1, 3), (3, 0)]):
        for placements in itertools.product(kinds, repeat=grid.ndim):
            full = torch.arange(shape[0] * shape[1]).reshape(shape)
            tensor = distribute_tensor(full, grid, placements)
            found = full[np.ix_(*[list(axis) for axis in indices(tensor)])]
            assert torch.equal(found, tensor.to_local()), (shape, placements)
            checked += 1
    return checked


def loads(folder: Path, kind: str, name: str) -> tuple[list[str], int, int]:
    """Load a file into a divided model; return what differs, bytes read and bytes held."""
    model = net(kind)
    with read_state_dict(folder / name) as state, counted() as ranges, nothing_gathered():
        load_state_dict(model, state, strict=True, assign=kind == "meta")
    read = sum(size for _, _, size in ranges)
    return differing(model, values()), read, own_bytes(model)


def loads_every_leaf(folder: Path) -> list[str]:
    """Load transposed, packed and plain leaves into slots that are divided along each axis."""
    from caten_sd.blocks.block_types import quantize
    from caten_sd.blocks.families.q4_to_q8 import Q8_0
    from caten_sd.state.leaf import BlockTensor

    torch.manual_seed(0)
    grid, matrix = mesh(dist.get_world_size()), torch.randn(7, 96)
    packed = BlockTensor(Q8_0(), quantize(Q8_0(), matrix.numpy()), (7, 96))
    turned = derive(Permute((1, 0)), [matrix.T.contiguous()])
    failed = []
    leaves = {"plain": matrix, "turned": turned, "packed": packed, "numpy": matrix.numpy()}
    for name, leaf in leaves.items():
        wanted = packed.torch() if name == "packed" else matrix
        for placement in (Shard(0), Shard(1), Replicate()):
            place = distribute_tensor(torch.zeros(7, 96), grid, [placement])
            load_state_dict({"w": place}, {"w": leaf}, strict=True)
            if not torch.equal(place.full_tensor(), wanted):
                failed.append(f"{name} {placement}")
    return failed


def trains_after_adopting(folder: Path) -> tuple[list[str], float]:
    """Load into a model on the meta device, then take a step; return what differs, the change."""
    model = net("meta")
    with read_state_dict(folder / "net.safetensors") as state:
        load_state_dict(model, state, strict=True, assign=True)
    wrong = differing(model, values())
    plain = Net()
    plain.load_state_dict(values())
    ids = torch.tensor([[1, 2, 3]])
    outputs = []
    for each in (model, plain):
        step = torch.optim.SGD(each.parameters(), 0.1)
        each(ids).square().sum().backward()
        step.step()
        outputs.append(each(ids).detach())
    with read_state_dict(folder / "net.safetensors") as state:
        load_state_dict(model, state, strict=True, assign=True)  # after a forward, too
    plain.load_state_dict(values())
    outputs += [model(ids).detach(), plain(ids).detach()]
    return wrong, max(float((outputs[n] - outputs[n + 1]).abs().max()) for n in (0, 2))


def saves(folder: Path, kind: str, name: str, seed: int = 0) -> list[str]:
    """Fill a divided model, write it, and return what its folder holds."""
    model = net(kind)
    load_state_dict(model, values(seed), strict=True)
    write_state_dict(get_state_dict(model), folder / name, metadata={"step": str(seed)})
    return sorted(os.listdir(folder / name))


def torch_loads(folder: Path, name: str) -> list[str]:
    """Load a checkpoint by torch's own loader into a divided model; return what differs."""
    model = net("fsdp")
    state = {key: value.detach() for key, value in get_state_dict(model).items()}
    dcp.load(state, checkpoint_id=folder / name)
    found = whole(state)
    return [key for key in found if not torch.equal(found[key], values()[key])]


def dies(folder: Path, name: str, rank: int, moment: str) -> str:
    """Save, and end one process: before it wrote, after that, or around the last step."""
    model = net("fsdp")
    load_state_dict(model, values(1), strict=True)
    if dist.get_rank() == rank:
        owner, method = {
            "full disk": (NumberedWriter, "write_data"),
            "planned": (NumberedWriter, "write_data"),
            "written": (NumberedWriter, "write_data"),
            "gathered": (NumberedWriter, "finish"),
            "committed": (FileSet, "remove"),
        }[moment]
        before = getattr(owner, method)

        def die(*arguments: Any, **options: Any) -> Any:
            if moment == "full disk":
                raise OSError("No space left on device")
            if moment == "written":
                before(*arguments).wait()
            os._exit(9)

        setattr(owner, method, die)
    else:
        owner = None
    try:
        write_state_dict(get_state_dict(model), folder / name)
    except CatenError as error:
        return str(error)
    finally:
        if owner is not None:
            setattr(owner, method, before)
    return "saved"


def reads_rows(folder: Path) -> int:
    """Load rows of a tensor that was saved in other shards; return how many bytes were read."""
    place = distribute_tensor(torch.zeros(2048, 256), mesh(dist.get_world_size()), [Shard(0)])
    with counted() as ranges, read_state_dict(folder / "rows.dcp") as state:
        load_state_dict({"w": place}, state, strict=True)
    first = indices(place)[0][0]
    assert place.to_local()[0, 0] == first * 256
    return sum(size for _, _, size in ranges)


def writes_rows(folder: Path) -> None:
    full = torch.arange(2048 * 256.0).reshape(2048, 256)
    tensor = distribute_tensor(full, mesh(dist.get_world_size()), [Shard(0)])
    plan = "c10d.allgather_ c10d.gather_ c10d.broadcast_ c10d.scatter_"
    with nothing_gathered(sending=plan):
        write_state_dict({"w": tensor}, folder / "rows.dcp")
    with pytest.raises(CatenError, match=r"full_tensor\(\)"):
        write_state_dict({"w": tensor}, folder / "digests.dcp", digests=True)


def refuses_together(folder: Path) -> list[str]:
    """Give one process what it cannot load, in several ways; check that nothing is changed."""
    messages = []
    for case in ("shape", "strict", "other keys", "unreadable"):
        model = net("fsdp")
        before = whole(get_state_dict(model))
        state: dict[str, Any] = dict(values())
        if dist.get_rank() == 1:
            if case == "shape":
                state["up.weight"] = torch.zeros(2, 2)
            elif case == "strict":
                del state["up.bias"]
            elif case == "other keys":
                state = {"nothing": torch.zeros(2)}
            else:
                state["up.bias"] = torch.empty(9, device="meta")
        try:
            load_state_dict(model, state, strict=case == "strict", silent=True)
            messages.append("loaded")
        except LoadError as error:
            messages.append(str(error).partition("\n")[0])
        assert not differing(model, before), case
    return messages


def one_file_is_refused(folder: Path) -> list[str]:
    messages = []
    for name in ("one.safetensors", "one.pt", "one/"):
        try:
            write_state_dict(get_state_dict(net("fsdp")), f"{folder}/{name}")
            messages.append("written")
        except CatenError as error:
            messages.append(str(error))
    return [*messages, *sorted(p.name for p in folder.glob("one*"))]


def refuses_impossible_loads(folder: Path) -> list[str]:
    """Load into partial sums, into other shards, and a divided leaf into a plain slot."""
    grid = mesh(dist.get_world_size())
    rows = distribute_tensor(torch.arange(8.0).reshape(4, 2), grid, [Shard(0)])
    sums = DTensor.from_local(torch.ones(4, 2), grid, [Partial()])
    columns = distribute_tensor(torch.zeros(4, 2), grid, [Shard(1)])
    messages = []
    for place, leaf in ((sums, torch.ones(4, 2)), (columns, rows), (torch.zeros(4, 2), rows)):
        try:
            load_state_dict({"w": place}, {"w": leaf})
        except CatenError as error:
            messages.append(str(error))
    same = distribute_tensor(torch.zeros(4, 2), grid, [Shard(0)])
    load_state_dict({"w": same}, {"w": rows})
    assert torch.equal(same.to_local(), rows.to_local())
    try:
        np.asarray(get_state_dict({"w": rows})["w"].to_local())
        from caten_sd.state.leaf import Numpy, as_array

        as_array(Numpy(), rows)
    except CatenError as error:
        messages.append(str(error))
    return messages


def measures(folder: Path) -> float | None:
    """Narrow a dtype such that the largest error is in one process only."""
    grid = mesh(dist.get_world_size())
    place = distribute_tensor(torch.zeros(4, 2, dtype=torch.bfloat16), grid, [Shard(0)])
    leaf = torch.zeros(4, 2)
    leaf[0, 0] = 1.001
    report = plan_load({"w": place}, {"w": leaf}).apply()
    return report.rows[0].error


def flat(folder: Path) -> list[str]:
    """Load into FSDP's first version; return the errors, or the outputs."""
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

    messages = []
    for strategy in (ShardingStrategy.NO_SHARD, ShardingStrategy.FULL_SHARD):
        for original in (True, False):
            model = FullyShardedDataParallel(
                nn.Sequential(nn.Linear(6, 9)),
                sharding_strategy=strategy,
                use_orig_params=original,
                device_id=torch.device("cpu"),
            )
            state = {"0.weight": torch.ones(9, 6), "0.bias": torch.ones(9)}
            try:
                load_state_dict(model, state, strict=True)
                outputs = model(torch.ones(1, 6))
                messages.append(f"loaded {outputs.unique().tolist()}")
            except CatenError as error:
                messages.append(str(error))
    return messages

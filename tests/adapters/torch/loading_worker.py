"""Loads into divided models, run in every process."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

from caten_sd import load_state_dict, plan_load, read_state_dict, snapshot, trim_rows
from caten_sd.adapters.torch.dtensor import indices
from caten_sd.extend import assign
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


def has_no_indices_outside_the_mesh(folder: Path) -> list[int]:
    """Divide a tensor over the first two processes; return the sizes of this one's indices."""
    grid = DeviceMesh("cpu", [0, 1])
    return list(map(len, indices(distribute_tensor(torch.zeros(4, 2), grid, [Shard(0)]))))


def loads_rows_that_do_not_follow_each_other(folder: Path) -> list[float]:
    """Load into a shard that torch's FSDP would make of the columns of tensor parallelism."""
    full, grid = torch.arange(18.0).reshape(9, 2), mesh(2, 2)
    placements = [_StridedShard(0, split_factor=2), Replicate()]
    rows = [0, 1, 2, 5, 6] if grid.get_coordinate()[0] == 0 else [3, 4, 7, 8]
    place = DTensor.from_local(
        torch.zeros(len(rows), 2), grid, placements, run_check=False, shape=(9, 2), stride=(2, 1)
    )
    load_state_dict({"w": place}, {"w": full}, strict=True)
    assert torch.equal(place.to_local(), full[rows])
    return place.to_local()[:, 0].tolist()


def copies(folder: Path) -> list[str]:
    """Copy a divided model, and change the copy; return what differs from the old values."""
    model = net("fsdp")
    load_state_dict(model, values(), strict=True)
    before = snapshot(model)
    load_state_dict(model, values(1), strict=True)
    wrong = [key for key, value in whole(before).items() if not torch.equal(value, values()[key])]
    assert all(isinstance(before[key], DTensor) for key in before if key != "scale")
    return wrong + differing(model, values(1))


def loads_in_every_way(folder: Path) -> None:
    """Assign, adopt, trim to fit, and load one element or a replicated leaf."""
    grid, full = mesh(dist.get_world_size()), torch.arange(8.0).reshape(4, 2)
    place = distribute_tensor(torch.zeros(4, 2), grid, [Shard(0)])
    assign(place, full)
    assert torch.equal(place.full_tensor(), full)
    holder = {"w": place}
    load_state_dict(holder, {"w": full + 1}, strict=True, assign=True)
    assert torch.equal(holder["w"].full_tensor(), full + 1)
    longer = torch.ones(6, 2)
    load_state_dict({"w": place}, {"w": longer}, on_mismatch={"w": trim_rows()})
    assert torch.equal(place.full_tensor(), torch.ones(4, 2))
    scalar = distribute_tensor(torch.tensor(0.0), grid, [Replicate()])
    load_state_dict({"w": scalar}, {"w": torch.tensor([7.0])})
    assert scalar.to_local() == 7
    plain = torch.zeros(4, 2)
    load_state_dict({"w": plain}, {"w": distribute_tensor(full, grid, [Replicate()])})
    assert torch.equal(plain, full)


def loads_every_leaf(folder: Path) -> list[str]:
    """Load transposed, packed and plain leaves into slots that are divided along each axis."""
    from caten_sd.blocks.block_types import quantize
    from caten_sd.blocks.families.q4_to_q8 import Q8_0
    from caten_sd.state.block_tensor import BlockTensor

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


def measures(folder: Path) -> float | None:
    """Narrow a dtype such that the largest error is in one process only."""
    grid = mesh(dist.get_world_size())
    place = distribute_tensor(torch.zeros(4, 2, dtype=torch.bfloat16), grid, [Shard(0)])
    leaf = torch.zeros(4, 2)
    leaf[0, 0] = 1.001
    report = plan_load({"w": place}, {"w": leaf}).apply()
    return report.rows[0].error

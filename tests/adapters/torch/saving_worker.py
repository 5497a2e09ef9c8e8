"""Saves of divided models, run in every process."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from caten_sd import (
    get_state_dict,
    load_state_dict,
    read_state_dict,
    write_state_dict,
)
from caten_sd.adapters.torch.dtensor import indices
from caten_sd.adapters.torch.saving import NumberedWriter
from caten_sd.errors import CatenError
from caten_sd.files.file_set import FileSet
from tests.adapters.torch.divided import (
    counted,
    mesh,
    net,
    nothing_gathered,
    values,
    whole,
)


def writes_what_every_process_has(folder: Path) -> None:
    grid = mesh(dist.get_world_size())
    leaf = distribute_tensor(torch.ones(4, 2), grid, [Replicate()])
    write_state_dict({"w": leaf}, folder / f"whole{dist.get_rank()}.safetensors")


def saves(folder: Path, kind: str, name: str, seed: int = 0) -> list[str]:
    """Fill a divided model, write it, and return what its folder holds."""
    model = net(kind)
    load_state_dict(model, values(seed), strict=True)
    write_state_dict(get_state_dict(model), folder / name, metadata={"step": str(seed)})
    return sorted(os.listdir(folder / name))


def saves_slowly(folder: Path, kind: str, name: str, seed: int) -> list[str]:
    """Save, so slowly that another save may begin and end in the meantime."""
    before = NumberedWriter.write_data

    def slow(*arguments: Any) -> Any:
        time.sleep(0.5)
        return before(*arguments)

    NumberedWriter.write_data = slow
    try:
        return saves(folder, kind, name, seed)
    finally:
        NumberedWriter.write_data = before


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
            "renamed": (os, "replace"),
            "committed": (FileSet, "remove"),
        }[moment]
        before = getattr(owner, method)

        def die(*arguments: Any, **options: Any) -> Any:
            if moment == "full disk":
                raise OSError("No space left on device")
            if moment == "written":
                before(*arguments).wait()
            if moment == "renamed":
                before(*arguments)
                raise KeyboardInterrupt
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

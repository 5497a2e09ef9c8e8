"""Loads and saves of divided models that are refused, run in every process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor

from caten_sd import (
    get_state_dict,
    load_state_dict,
    write_state_dict,
)
from caten_sd.errors import CatenError, LoadError
from tests.adapters.torch.divided import (
    differing,
    mesh,
    net,
    values,
    whole,
)


def dies_in_a_load(folder: Path) -> str:
    """End one process before the load; return the other's error."""
    model = net("fsdp")
    before = differing(model, values())
    if dist.get_rank() == 1:
        os._exit(9)
    try:
        load_state_dict(model, values(), strict=True)
    except LoadError as error:
        assert before
        return str(error)
    return "loaded"


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
    uneven = DTensor.from_local(
        torch.zeros(3 if dist.get_rank() == 0 else 1, 2), grid, [Shard(0)],
        run_check=False, shape=(4, 2), stride=(2, 1),
    )  # fmt: skip
    full, plain = torch.ones(4, 2), torch.zeros(4, 2)
    messages = []
    for place, leaf in ((sums, full), (columns, rows), (plain, rows), (uneven, full)):
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

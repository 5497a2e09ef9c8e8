"""Ranks of megatron-core: what is written for two is what two have, and stages are what it saves.

Each rank is a process of its own: python -m tests.layouts.megatron_ranks FOLDER RANK.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import torch

from tests.layouts.megatron_model import build, patch_cuda
from tests.layouts.test_llama import random_model

IDS = torch.tensor([[1, 5, 7, 9, 3, 2]])
PARALLEL = "megatron.core.parallel_state"
FILE = "model_optim_rng.pt"


def logits(model: Any) -> torch.Tensor:
    mask = torch.triu(torch.ones(1, 1, 6, 6, dtype=torch.bool), 1)
    with torch.no_grad():
        return torch.as_tensor(model(IDS, torch.arange(6)[None], mask))


def divided(folder: Path, rank: int) -> None:
    """Load the file of a rank, and write how far the logits of both are from the whole model's."""
    parallel = importlib.import_module(PARALLEL)
    parallel.initialize_model_parallel(tensor_model_parallel_size=2)
    model = build(config={"tensor_model_parallel_size": 2}, parallel_output=False)
    saved = torch.load(folder / "tensors" / f"mp_rank_{rank:02}" / FILE)["model"]
    wanted = {key for key, value in model.state_dict().items() if value is not None}
    assert wanted == saved.keys()
    model.load_state_dict(saved, strict=False)
    whole = random_model("Llama")(IDS).logits
    difference = (logits(model) - whole).abs().max().item()
    (folder / f"difference_{rank}").write_text(str(difference))
    torch.distributed.barrier()
    parallel.destroy_model_parallel()


def staged(folder: Path) -> None:
    """Save the stages of a model as Megatron does, each with the layers that it has."""
    parallel = importlib.import_module(PARALLEL)
    parallel.initialize_model_parallel()
    whole = torch.load(folder / "whole.pt")
    parallel.set_pipeline_model_parallel_world_size(2)
    first = 0
    for stage in range(2):
        parallel.set_pipeline_model_parallel_rank(stage)
        config = {"pipeline_model_parallel_size": 2, "pipeline_dtype": torch.float32}
        model = build(config=config, pre_process=stage == 0, post_process=stage == 1)
        own = {key: value for key, value in model.state_dict().items() if value is not None}
        named = {key: whole[key.replace("layers.0.", f"layers.{first}.")] for key in own}
        first += len(model.decoder.layers)
        place = folder / "stages" / f"mp_rank_00_{stage:03}"
        place.mkdir(parents=True)
        torch.save({"model": named, "checkpoint_version": 3.0}, place / FILE)


if __name__ == "__main__":
    target, own = Path(sys.argv[1]), int(sys.argv[2])
    patch_cuda()
    store = f"file://{target}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=own, world_size=2)
    divided(target, own)
    if own == 0:
        torch.distributed.destroy_process_group()
        alone = f"file://{target}/alone"
        torch.distributed.init_process_group("gloo", init_method=alone, rank=0, world_size=1)
        staged(target)

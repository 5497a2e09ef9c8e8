"""The metadata of a checkpoint that many processes wrote is read within the law of headers."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint import metadata as md
from torch.distributed.checkpoint.filesystem import _StorageInfo

from tests.files.test_header_law import reading

TENSORS = 10_000
SHARD = 1024  # bytes of a record


def tensor(shards: int, dimensions: int) -> md.TensorStorageMetadata:
    rest = [4] * (dimensions - 1)
    chunks = [
        md.ChunkStorageMetadata(torch.Size(corner(n, dimensions)), torch.Size([2, *rest]))
        for n in range(shards)
    ]
    size = torch.Size([2 * shards, *rest])
    return md.TensorStorageMetadata(md.TensorProperties(torch.float32), size, chunks)


def corner(shard: int, dimensions: int) -> list[int]:
    return [2 * shard] + [0] * (dimensions - 1)


def sharded(folder: Path, shards: int, dimensions: int) -> int:
    """Write what so many processes would write, and return the size of the metadata."""
    keys = [f"model.layers.{n}.self_attn.q_proj.weight" for n in range(TENSORS)]
    stored = {
        md.MetadataIndex(key, torch.Size(corner(shard, dimensions)), shard): _StorageInfo(
            f"__{shard}_0.distcp", n * SHARD, SHARD
        )
        for n, key in enumerate(keys)
        for shard in range(shards)
    }
    tensors = {key: tensor(shards, dimensions) for key in keys}
    metadata = md.Metadata(tensors, {key: (key,) for key in keys}, stored)
    for shard in range(shards):
        with (folder / f"__{shard}_0.distcp").open("wb") as file:
            file.truncate(TENSORS * SHARD)
    return (folder / ".metadata").write_bytes(pickle.dumps(metadata))


@pytest.mark.slow
@pytest.mark.parametrize(("shards", "dimensions"), [(1, 2), (8, 1), (8, 2), (8, 4)])
def test_the_metadata_of_many_processes_is_read_within_the_law(
    shards: int, dimensions: int, tmp_path: Path
) -> None:
    size = sharded(tmp_path, shards, dimensions)
    most, longest = (64 << 20) + 8 * size, 1 + 10 * size / 100e6
    memory, seconds, outcome = reading(tmp_path, most)
    assert outcome.strip() == f"read {TENSORS}"
    assert memory <= most
    assert seconds <= 2 * longest  # twice, for a machine with other work to do

"""Opening and writing torch's zip, against torch itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caten_sd.files.checkpoint import read_state_dict, write_state_dict

from .conftest import Race
from .test_files import processor


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40,000 tensors as torch writes it."""
    path = tmp_path_factory.mktemp("torch") / "many.pt"
    names = (f"layers.{i // 4}.part{i % 4}.weight" for i in range(40_000))
    torch.save({name: torch.zeros(4, 4) for name in names}, path)
    return path


@pytest.mark.parametrize("weights_only", [True, False])
def test_open_40_000_tensors_against_torch(race: Race, many: Path, weights_only: bool) -> None:
    race(
        f"open 40,000 tensors / torch.load(mmap=True, weights_only={weights_only})",
        lambda: read_state_dict(many).close(),
        lambda: torch.load(many, mmap=True, weights_only=weights_only),
        2.0,
        pairs=5,
    )


@pytest.mark.slow
def test_open_growing_numbers_of_tensors(race: Race, tmp_path: Path) -> None:
    paths = {count: tmp_path / f"{count}.pt" for count in (10_000, 100_000)}
    for count, path in paths.items():
        torch.save({f"h.{i}.w": torch.zeros(1) for i in range(count)}, path)
    race(
        "open torch zip of 100,000 tensors, per tensor / 10,000",
        lambda: read_state_dict(paths[100_000]).close(),
        lambda: [read_state_dict(paths[10_000]).close() for _ in range(10)],
        1.2,
        pairs=3,
        measure=processor,
    )


def test_open_and_read_160_mb_against_torch(race: Race, tmp_path: Path) -> None:
    given = {f"h.{i}.w": torch.rand(1000, 1000) for i in range(40)}
    torch.save(given, tmp_path / "a.pt")

    def ours() -> float:
        with read_state_dict(tmp_path / "a.pt") as found:
            return sum(float(leaf.numpy().sum()) for leaf in found.values())

    def peer() -> float:
        found = torch.load(tmp_path / "a.pt", mmap=True, weights_only=True)
        return sum(float(np.sum(leaf.numpy())) for leaf in found.values())

    race("read and sum 160 MB / torch.load(mmap=True)", ours, peer, 1.0)


def test_write_160_mb_against_torch(race: Race, tmp_path: Path) -> None:
    given = {f"h.{i}.w": torch.rand(1000, 1000) for i in range(40)}
    race(
        "write 160 MB, synced to disk / torch.save",
        lambda: write_state_dict(given, tmp_path / "ours.pt"),
        lambda: torch.save(given, tmp_path / "torch.pt"),
        1.5,
    )

"""Random generators go on where they were."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from caten_sd import (
    ProcessRandomness,
    TrainingState,
    get_state_dict,
    load_state_dict,
    read_state_dict,
    write_state_dict,
)
from tests.training.runs import Net


def drawn() -> list[float]:
    return [random.random(), float(np.random.normal()), float(torch.rand(()))]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_the_generators_of_the_process(suffix: str, tmp_path: Path) -> None:
    training = TrainingState(Net(), rng=ProcessRandomness())
    drawn()  # numpy now holds the second of two normal numbers
    write_state_dict(get_state_dict(training), tmp_path / f"run{suffix}")
    next_ones = drawn()
    assert drawn() != next_ones
    load_state_dict(training, read_state_dict(tmp_path / f"run{suffix}"), strict=True)
    assert drawn() == next_ones


def test_a_generator_of_torch() -> None:
    chance = torch.Generator().manual_seed(3)
    training = TrainingState(Net(), rng=chance)
    saved = {key: torch.as_tensor(leaf).clone() for key, leaf in get_state_dict(training).items()}
    next_ones = torch.rand(4, generator=chance)
    load_state_dict(training, saved, strict=True)
    assert torch.equal(torch.rand(4, generator=chance), next_ones)

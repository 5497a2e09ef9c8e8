"""Random generators go on where they were."""

from __future__ import annotations

import random
import subprocess
import sys
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
    following = drawn()
    assert drawn() != following
    load_state_dict(training, read_state_dict(tmp_path / f"run{suffix}"), strict=True)
    assert drawn() == following


def test_a_generator_of_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    training = TrainingState(Net(), rng=generator)
    saved = {key: torch.as_tensor(leaf).clone() for key, leaf in get_state_dict(training).items()}
    following = torch.rand(4, generator=generator)
    load_state_dict(training, saved, strict=True)
    assert torch.equal(torch.rand(4, generator=generator), following)


class Devices:
    """The generators of two accelerators, with the interface of ``torch.cuda``."""

    def __init__(self) -> None:
        self.generators = [torch.Generator().manual_seed(n) for n in range(2)]

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return len(self.generators)

    def get_rng_state_all(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in self.generators]

    def set_rng_state_all(self, states: list[torch.Tensor]) -> None:
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)

    def drawn(self) -> list[float]:
        return [float(torch.rand((), generator=each)) for each in self.generators]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    devices = Devices()
    for name in ("is_initialized", "device_count", "get_rng_state_all", "set_rng_state_all"):
        monkeypatch.setattr(torch.cuda, name, getattr(devices, name))
    return devices


def test_the_generators_of_accelerators(devices: Devices, tmp_path: Path) -> None:
    training = TrainingState(Net(), rng=ProcessRandomness())
    write_state_dict(get_state_dict(training), tmp_path / "run.pt")
    following = devices.drawn()
    assert devices.drawn() != following
    load_state_dict(training, read_state_dict(tmp_path / "run.pt"), strict=True)
    assert devices.drawn() == following


def test_generators_of_another_number_of_accelerators_are_left_alone(devices: Devices) -> None:
    state = ProcessRandomness().state_dict()
    del devices.generators[1]
    before = devices.get_rng_state_all()
    devices.drawn()
    moved = devices.get_rng_state_all()
    ProcessRandomness().load_state_dict(state)
    assert torch.equal(devices.get_rng_state_all()[0], moved[0])
    assert not torch.equal(before[0], moved[0])


def test_without_numpy_and_torch_there_is_only_pythons_own() -> None:
    code = """if True:
        import random, sys
        from caten_sd.training.randomness import ProcessRandomness
        state = ProcessRandomness().state_dict()
        assert list(state) == ["python"], list(state)
        drawn = random.random()
        ProcessRandomness().load_state_dict(state)
        assert random.random() == drawn
        assert not {"numpy", "torch"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", code], check=True)

"""Loading into a live model, beside torch's own load and safetensors' ``load_model``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from caten_sd import plan_load, write_state_dict

from .conftest import Race
from .processes import run_alone

WIDTH, LAYERS = 2048, 30  # 30 matrices of 16 MiB: 503 MB


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)


def deep() -> nn.Module:
    return nn.ModuleList([nn.ModuleList([Layer() for _ in range(100)]) for _ in range(100)])


def flat() -> nn.Module:
    return nn.ParameterList([torch.zeros(2) for _ in range(40_000)])


@pytest.mark.parametrize("make", [deep, flat])
def test_a_plan_of_40_000_tensors(race: Race, make: Callable[[], nn.Module]) -> None:
    model, file = make(), make().state_dict()
    assert len(file) == 40_000
    race(
        f"plan_load, 40,000 tensors, {make.__name__} / torch's load_state_dict",
        lambda: plan_load(model, file),
        lambda: model.load_state_dict(file),
        1.5,
        pairs=5,
    )


CHILD = """
import sys, time
import torch
from torch import nn
torch.set_num_threads(1)
path, who = sys.argv[1:]
if who != "safetensors":
    from caten_sd import load_state_dict, read_state_dict
    def load(model, path):
        load_state_dict(model, read_state_dict(path, streaming=who == "streamed"), strict=True)
else:
    from safetensors.torch import load_model as load
from safetensors.torch import save_model
save_model(nn.Linear(2, 2), path + ".small")
load(nn.Linear(2, 2), path + ".small")  # what is imported when it is first needed
model = nn.ModuleList(nn.Linear({width}, {width}) for _ in range({layers}))
start = time.perf_counter()
load(model, path)
print(time.perf_counter() - start)
assert float(model[-1].weight[0, 0].detach()) == {layers} - 1
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("load") / "model.safetensors"
    weight, bias = torch.zeros(WIDTH, WIDTH), torch.zeros(WIDTH)
    state = {}
    for layer in range(LAYERS):
        state |= {f"{layer}.weight": weight + layer, f"{layer}.bias": bias.clone()}
    write_state_dict(state, path)
    yield path
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("ours", ["mapped", "streamed"])
@pytest.mark.parametrize("unit", ["s", "MB"])
def test_a_file_of_500_mb_into_a_live_model(race: Race, file: Path, unit: str, ours: str) -> None:
    code = CHILD.format(width=WIDTH, layers=LAYERS)

    def child(who: str) -> Callable[[], float]:
        words = [sys.executable, "-c", code, str(file), who]

        def run() -> float:
            done = run_alone(words)
            return float(done.output) if unit == "s" else done.peak

        return run

    def told(run: Callable[[], Any]) -> float:
        return float(run())

    what = f"load 503 MB, {ours}, {'time' if unit == 's' else 'peak memory'} / load_model"
    race(what, child(ours), child("safetensors"), 1.0, pairs=5, measure=told, unit=unit)

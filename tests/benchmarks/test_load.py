"""Loading into a live model, beside torch's own load and safetensors' ``load_model``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from caten_sd import load_state_dict, plan_load, write_state_dict

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


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Return the time of the processor, as neither side waits for anything."""
    start = time.process_time()
    run()
    return time.process_time() - start


@pytest.mark.parametrize(("make", "at_most"), [(deep, 1.2), (flat, 2.5)])
def test_40_000_tensors(race: Race, make: Callable[[], nn.Module], at_most: float) -> None:
    model, file = make(), make().state_dict()
    assert len(file) == 40_000
    what = f"40,000 tensors, {make.__name__} / torch's load_state_dict"

    def peer() -> None:
        model.load_state_dict(file)

    def plan() -> None:
        plan_load(model, file)

    def load() -> None:
        load_state_dict(model, file, strict=True)

    race(f"plan_load, {what}", plan, peer, 1.5, pairs=5, measure=cpu_seconds)
    race(f"load_state_dict, {what}", load, peer, at_most, pairs=5, measure=cpu_seconds)


CHILD = """
import os, sys, time
import torch
from torch import nn
torch.set_num_threads(1)
path, who, cache = sys.argv[1:]
if who == "peer":
    from safetensors.torch import load_model as load
else:
    from caten_sd import load_state_dict, read_state_dict, to_layout
    from caten_sd.layout import Layout, Row, Transpose
    rows = [Row("{{i}}.weight", "{{i}}.weight", Transpose()), Row("{{i}}.bias", "{{i}}.bias")]
    turned = Layout("turned", rows)
    def load(model, path):
        state = read_state_dict(path, streaming=who == "streamed")
        if who == "transposed":
            state = to_layout(state, turned.canonical, from_layout=turned, silent=True)
        load_state_dict(model, state, strict=True)
from safetensors.torch import save_model
small = nn.ModuleList([nn.Linear(2, 2)])
save_model(small, path + ".small")
load(small, path + ".small")  # what is imported when it is first needed
model = nn.ModuleList(nn.Linear({width}, {width}) for _ in range({layers}))
if cache == "cold":
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("1")
start = time.perf_counter()
load(model, path)
print(time.perf_counter() - start)
assert float(model[-1].weight[0, 1].detach()) == {layers} - 1
"""


def written(folder: Path, dtype: torch.dtype) -> Iterator[Path]:
    path = folder / "model.safetensors"
    weight, bias = torch.zeros(WIDTH, WIDTH, dtype=dtype), torch.zeros(WIDTH, dtype=dtype)
    state = {}
    for layer in range(LAYERS):
        state |= {f"{layer}.weight": weight + layer, f"{layer}.bias": bias.clone()}
    write_state_dict(state, path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from written(tmp_path_factory.mktemp("load"), torch.float32)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from written(tmp_path_factory.mktemp("half"), torch.bfloat16)


def child(path: Path, who: str, unit: str, cache: str = "warm") -> Callable[[], float]:
    """Return what loads the file in a process of its own, and returns its time or its peak."""
    code = CHILD.format(width=WIDTH, layers=LAYERS)

    def run() -> float:
        done = run_alone([sys.executable, "-c", code, path, who, cache])
        return float(done.output) if unit == "s" else done.peak

    return run


def race_of_children(
    race: Race, what: str, path: Path, who: str, unit: str, cache: str = "warm", at_most: float = 1
) -> None:
    bound = "the disk" if cache == "cold" else "memory"
    race(
        f"load {what}, {'time' if unit == 's' else 'peak memory'} / load_model",
        child(path, who, unit, cache),
        child(path, "peer", unit, cache),
        at_most,
        pairs=5,
        measure=lambda run: float(run()),
        unit=unit,
        bound=bound,
    )


@pytest.mark.slow
@pytest.mark.parametrize("ours", ["mapped", "streamed"])
@pytest.mark.parametrize("unit", ["s", "MB"])
def test_a_file_of_500_mb_into_a_live_model(race: Race, file: Path, unit: str, ours: str) -> None:
    race_of_children(race, f"503 MB, {ours}", file, ours, unit)


@pytest.mark.slow
def test_the_memory_of_a_transpose(race: Race, file: Path) -> None:
    race_of_children(race, "503 MB, transposed by a layout", file, "transposed", "MB")


@pytest.mark.slow
def test_the_memory_of_a_cast(race: Race, half: Path) -> None:
    race_of_children(race, "252 MB of bfloat16 into float32", half, "mapped", "MB")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.access("/proc/sys/vm/drop_caches", os.W_OK), reason="nobody may drop the page cache"
)
def test_a_file_that_is_not_in_the_page_cache(race: Race, file: Path) -> None:
    race_of_children(race, "503 MB, not cached", file, "mapped", "s", cache="cold", at_most=0.58)

"""What a proof costs: an explanation for a gigabyte of both files, a diff against cmp."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import diff, explain
from caten_sd.layout import Rotary
from caten_sd.state.dtype import DTYPES, numpy_dtype

from .conftest import Race

WIDTH = 1024


def weights() -> dict[str, Any]:
    """Return four layers of attention and of a gated network, 240 MB."""
    random = np.random.default_rng(0)
    shapes = {"q": 1, "k": 1, "v": 1, "gate": 4, "up": 4, "down": 4}
    return {
        f"h.{i}.{name}": random.standard_normal((rows * WIDTH, WIDTH), dtype="f4")
        for i in range(4)
        for name, rows in shapes.items()
    }


def rearranged(a: dict[str, Any]) -> dict[str, Any]:
    """Return the weights with rotary pairs, joined projections and transposed matrices."""
    b = {}
    for i in range(4):
        q, k, v, gate, up, down = (a[f"h.{i}.{n}"] for n in ("q", "k", "v", "gate", "up", "down"))
        b[f"l.{i}.q"] = Rotary(16, to="pairs").apply({(): q})[()].numpy()
        b[f"l.{i}.kv"] = np.concatenate([k, v])
        b[f"l.{i}.gu"] = np.ascontiguousarray(np.concatenate([gate, up]).T)
        b[f"l.{i}.down"] = np.ascontiguousarray(down.T)
    return b


def cost(a: Path, b: Path) -> Callable[[], float]:
    """Return a function that explains two files, and returns the seconds for a gigabyte."""
    size = (a.stat().st_size + b.stat().st_size) / 1e9

    def run() -> float:
        start = time.process_time()
        assert explain(a, b).is_whole
        return (time.process_time() - start) / size

    return run


def measure(run: Callable[[], float]) -> float:
    return run()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "limit"), [("renamed", 6.0), ("rearranged", 25.0)])
def test_explaining_two_files(race: Race, tmp_path: Path, kind: str, limit: float) -> None:
    a = weights()
    b = rearranged(a) if kind == "rearranged" else {f"x{n}": w for n, w in enumerate(a.values())}
    paths = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file(a, paths[0])
    save_file(b, paths[1])
    what = f"explain two files, {kind}, a gigabyte of both / {limit:.0f} s"
    race(what, cost(*paths), lambda: limit, 1.0, pairs=3, measure=measure, unit="s")


def compare(a: Path, b: Path) -> float:
    """Return the seconds of the processor that cmp takes for two equal files."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cmp", a, b], check=True)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def differ(a: Path, b: Path, *, quick: bool) -> float:
    """Return the seconds of the processor that the figures of a diff take."""
    start = time.process_time()
    assert not diff(a, b, quick=quick).is_same
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize(("figures", "limit"), [("all", 3.0), ("quick", 1.5)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_diff_of_two_files(
    race: Race, tmp_path: Path, dtype: str, figures: str, limit: float
) -> None:
    """Every element of 240 MB differs, so that every figure is needed of every tensor."""
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    kind = numpy_dtype(DTYPES[dtype])
    tensors = {key: w.astype(kind) for key, w in weights().items()}
    save_file(tensors, paths[0])
    save_file({key: (w.astype("f4") * 1.01).astype(kind) for key, w in tensors.items()}, paths[1])
    shutil.copy(paths[0], paths[2])
    race(
        f"{figures} figures of a diff, {dtype} / cmp of two equal files",
        lambda: differ(paths[0], paths[1], quick=figures == "quick"),
        lambda: compare(paths[0], paths[2]),
        limit,
        measure=measure,
        unit="s of the processor",
    )

"""What a proof costs: an explanation for a gigabyte of both files, a diff against cmp."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import diff, explain, suggest
from caten_sd.layout import Rotary
from caten_sd.proof.tensor_statistics import BLOCK, statistics
from caten_sd.state.dtype import DTYPES, numpy_dtype

from .conftest import Race

WIDTH = 1024


def weights(layers: int = 4) -> dict[str, Any]:
    """Return layers of attention and of a gated network, 60 MB each."""
    random = np.random.default_rng(0)
    shapes = {"q": 1, "k": 1, "v": 1, "gate": 4, "up": 4, "down": 4}
    return {
        f"h.{i}.{name}": random.standard_normal((rows * WIDTH, WIDTH), dtype="f4")
        for i in range(layers)
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


def processor(run: Callable[[], Any]) -> float:
    """Return the seconds of the processor that a function takes."""
    start = time.process_time()
    run()
    return time.process_time() - start


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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shared", "apart"])
@pytest.mark.parametrize("verb", [explain, diff])
def test_many_tensors_whose_names_do_not_meet(race: Race, verb: Any, kind: str) -> None:
    """Time and memory grow with the tensors: what is looked at pair by pair is bounded."""
    count = 20_000
    rows = np.random.default_rng(0).standard_normal((2, count, 4), dtype="f4")
    a = {f"h.{n}.w": row for n, row in enumerate(rows[0])}
    b = {f"blk.{n}.v": row for n, row in enumerate(rows[int(kind == "apart")])}

    def run() -> float:
        return processor(lambda: verb(a, b)) / count * 1e6

    what = f"{verb.__name__}, {count:,} tensors whose values are {kind}, for each"
    race(what, run, lambda: 500.0, 1.0, pairs=3, measure=measure, unit="us of the processor")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["layers", "words"])
def test_suggestions_for_many_names(race: Race, kind: str) -> None:
    """A name for each layer ends at once; many names of one kind are compared, then left open."""
    names = [f"h.{n}" if kind == "layers" else f"part{n * 7919 % 100_000}" for n in range(400)]
    a = {f"{name}.{word}": np.zeros((4, 4)) for name in names for word in ("q", "k", "up")}
    b = {key.replace("up", "fc").replace("h.", "blk."): leaf for key, leaf in a.items()}

    def run() -> float:
        return processor(lambda: suggest(a, b))

    what = f"suggest, 1,200 names, 400 {kind} / 20 s"
    race(what, run, lambda: 20.0, 1.0, pairs=3, measure=measure, unit="s of the processor")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_statistics(race: Race, dtype: str) -> None:
    """show --stats against the largest absolute value alone, over the same blocks."""
    values = weights()["h.0.gate"].astype(numpy_dtype(DTYPES[dtype])).reshape(-1)
    blocks = [values[start : start + BLOCK] for start in range(0, values.size, BLOCK)]

    def largest() -> None:
        for block in blocks:
            float(np.abs(block.astype("f4", copy=False)).max())

    what = f"all statistics of a tensor, {dtype} / the largest absolute value"
    race(what, lambda: statistics(values), largest, 4.0, measure=processor)


def differ(a: Path, b: Path, *, quick: bool) -> None:
    assert not diff(a, b, quick=quick).is_same


@pytest.mark.slow
@pytest.mark.parametrize(("figures", "limit"), [("all", 3.0), ("quick", 1.5)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_diff_of_two_files(
    race: Race, tmp_path: Path, dtype: str, figures: str, limit: float
) -> None:
    """Every element differs in two files of 240 MB, so every figure of every tensor is needed."""
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    kind = numpy_dtype(DTYPES[dtype])
    tensors = {key: w.astype(kind) for key, w in weights(16 // kind.itemsize).items()}
    save_file(tensors, paths[0])
    save_file({key: (w.astype("f4") * 1.01).astype(kind) for key, w in tensors.items()}, paths[1])
    shutil.copy(paths[0], paths[2])
    race(
        f"{figures} figures of a diff, {dtype} / cmp of two equal files",
        lambda: differ(paths[0], paths[1], quick=figures == "quick"),
        lambda: subprocess.run(["cmp", paths[0], paths[2]], check=True),
        limit,
        pairs=15,
        bound="reading is half of cmp; two threads share the rest, and Python's lock",
    )

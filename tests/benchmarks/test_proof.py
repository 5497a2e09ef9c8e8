"""What an explanation costs: seconds of the processor for a gigabyte of both files together."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import explain
from caten_sd.layout import Rotary

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

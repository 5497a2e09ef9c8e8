"""Whole models as lists of names and shapes, which the library that has these names gave."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd import detect_layout
from caten_sd.state.leaf import Torch, as_array, spec

KEYS = Path(__file__).parents[1] / "data" / "keys"


def listed(name: str) -> dict[str, Any]:
    """Return placeholders of the tensors in a list, by name."""
    return placeholders(line.split(" ") for line in (KEYS / name).read_text().splitlines())


def listed_pairs(name: str) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """Return the names in one layout by those in another, and placeholders under both."""
    lines = gzip.decompress((KEYS / name).read_bytes()).decode().splitlines()
    parts = [line.split(" ") for line in lines]
    names = {one: other for one, other, *_ in parts}
    one = placeholders((name, shape) for name, _, shape, _ in parts)
    return names, one, placeholders((other, shape) for _, other, _, shape in parts)


def placeholders(lines: Iterable[Iterable[str]]) -> dict[str, Any]:
    """Return arrays that take no memory, by name and the text of their shape."""
    return {
        name: np.broadcast_to(np.float32(0), [int(size) for size in shape.split(",") if size])
        for name, shape in lines
    }


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: spec(leaf).shape for key, leaf in state.items()}


def tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves as torch tensors, as if they had been written and read."""
    return {key: as_array(Torch(), leaf).clone().contiguous() for key, leaf in state.items()}


def check_detected(state: Mapping[str, Any], name: str) -> None:
    """Fail unless names and shapes alone show this layout, and no other takes the state."""
    found = detect_layout(dict(state))
    assert found.layout is not None, str(found)
    assert found.layout.name == name
    complete = [each.layout.name for each in found.candidates if each.is_complete]
    assert complete == [name]

"""What frozen layouts give for a pair: the very file of the other converter, and back again.

What the other side has no place for is left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd import detect_layout, plan_layout, read_state_dict
from caten_sd.errors import CatenError
from caten_sd.extend import Numpy, as_array
from caten_sd.layout import Layout

GOOD = {"exact", "close"}
TOLERANCE = 1e-6  # of values that are computed: a norm's weight plus one, an exponential


@dataclass(frozen=True)
class Proof:
    """How a pair fared: "exact", "close" or the reason why not, one way and back."""

    name: str
    there: str
    back: str

    def __str__(self) -> str:
        return f"{self.name}: there {self.there}; back {self.back}"


def prove(folder: Path) -> Proof:
    """Return what the layouts that are detected give for the pair of a folder, both ways.

    Where several layouts have the names of the GGUF, the one is meant that converts to the other.
    """
    hf, gguf = (read_state_dict(folder / name) for name in ("model.safetensors", "model.gguf"))
    try:
        here = _detected(hf)
        there = plan_layout(gguf, here).source
    except CatenError as error:
        fault = str(error).splitlines()[0]
        return Proof(folder.name, fault, fault)
    return Proof(folder.name, _trial(hf, gguf, here, there), _trial(gguf, hf, there, here))


def _trial(source: Any, wanted: Any, before: Layout, after: Layout) -> str:
    """Return what comes of one file in the layout of the other."""
    try:
        prefix = after.prefix_in(list(wanted))
        plan = plan_layout(source, after, from_layout=before, prefix=prefix)
        back = plan_layout(wanted, before, from_layout=after)
    except CatenError as error:
        return str(error).splitlines()[0]
    lacking = back.findings.dropped
    rest = {key: leaf for key, leaf in wanted.items() if key not in lacking}
    return compared(_arrays(plan.state_dict), _arrays(rest))


def _detected(state: Any) -> Layout:
    found = detect_layout(state)
    if found.layout is None:
        raise CatenError(f"not recognized: {str(found).splitlines()[0]}")
    return found.layout


def compared(made: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> str:
    """Return "exact", "close", or what differs, of two files."""
    missing = [key for key in wanted if key not in made]
    more = [key for key in made if key not in wanted]
    if missing or more:
        return f"{len(missing)} missing {missing[:2]}, {len(more)} more {more[:2]}"
    shapes = [key for key in wanted if made[key].shape != wanted[key].shape]
    if shapes:
        return f"{len(shapes)} of another shape {shapes[:2]}"
    if all(np.array_equal(made[key], wanted[key]) for key in wanted):
        return "exact"
    off = [
        key
        for key in wanted
        if not np.allclose(made[key], wanted[key], rtol=TOLERANCE, atol=TOLERANCE)
    ]
    return f"{len(off)} differ {off[:2]}" if off else "close"


def _arrays(state: Any) -> dict[str, np.ndarray]:
    return {key: np.asarray(as_array(Numpy(), leaf)) for key, leaf in state.items()}

"""What frozen layouts give for a pair: the very file of the other converter, and back again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caten_sd import detect_layout, read_state_dict, to_layout
from caten_sd.errors import CatenError
from caten_sd.extend import Numpy, as_array

EXACT = 0.0
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
    """Return what the layouts that are detected give for the pair of a folder, both ways."""
    hf, gguf = (read_state_dict(folder / name) for name in ("model.safetensors", "model.gguf"))
    return Proof(folder.name, _trial(hf, gguf), _trial(gguf, hf))


def _trial(source: Any, wanted: Any) -> str:
    try:
        before, after = (_detected(each) for each in (source, wanted))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = to_layout(
                source, after, from_layout=before, config=wanted.config, prefix=_prefix(after, wanted)
            )
        return compared(_arrays(made), _arrays(wanted))
    except CatenError as error:
        return str(error).splitlines()[0]


def _detected(state: Any) -> Any:
    found = detect_layout(state)
    if found.layout is None:
        raise CatenError(f"not recognized: {str(found).splitlines()[0]}")
    return found.layout


def _prefix(layout: Any, state: Any) -> str:
    return str(layout.prefix_in(list(state)))


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

"""One damaged input: read whole, within limits, and compared with the format's own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from caten_sd.testing.damage import damaged as damaged_by
from caten_sd.testing.trials import tried
from tests.fuzz.mutators import STRUCTURED


def damaged(format: str, seed: Path, target: Path, number: int) -> Path:
    """Write the input of this number: a seed with changes that depend on the number alone."""
    return damaged_by(seed, target, number, STRUCTURED.get(format, ()))


def finding(format: str, path: Path) -> str:
    """Return what is wrong with how a file is read, or ""."""
    trial = tried(path)
    if trial.problem or isinstance(trial.result, BaseException):
        return trial.problem
    return _differs(format, path, trial.result)


def _differs(format: str, path: Path, ours: dict[str, Any]) -> str:
    """Compare with the format's own library, where it takes the file too."""
    try:
        if format == "safetensors":
            theirs = dict(safetensors.numpy.load(path.read_bytes()))
        elif format == "npy":
            theirs = dict.fromkeys(ours, np.load(path, allow_pickle=False))
        else:
            return ""
    except BaseException:  # it may refuse what is read here, or fail as it likes
        return ""
    for key, array in theirs.items():
        read = isinstance(ours.get(key), np.ndarray)
        if read and _native(ours[key]) != _native(array):
            return f"{key!r} differs from what the format's own library reads"
    return ""


def _native(array: Any) -> bytes:
    """Return the bytes of an array in C order and in this machine's byte order."""
    return bytes(array.astype(array.dtype.newbyteorder("=")).tobytes())

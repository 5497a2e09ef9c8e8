"""One damaged input: read whole, within limits, and judged."""

from __future__ import annotations

import resource
import shutil
import signal
import unicodedata
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import safetensors.numpy

from caten_sd import CatenError, read_state_dict
from tests.fuzz.mutators import mutated

CPU = 5.0  # seconds for one input; a sound one takes milliseconds
MEMORY = 1 << 30  # bytes over what the process has


class TooSlowError(BaseException):
    """An input has taken more than its share of the processor."""


def limit_process() -> None:
    """Hold this process to the limits that every input has to keep."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGVTALRM, _too_slow)


def _too_slow(*_: Any) -> None:
    raise TooSlowError(f"over {CPU} s of the processor")


def damaged(format: str, seed: Path, target: Path, number: int) -> Path:
    """Write the input of this number: a seed with changes that depend on the number alone."""
    random = Random(number)
    if target.is_dir():
        shutil.rmtree(target)
    if seed.is_file():
        target.write_bytes(mutated(format, seed.read_bytes(), random))
        return target
    shutil.copytree(seed, target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    chosen = random.choice(files)
    if random.random() < 0.1:
        chosen.unlink()
    else:
        chosen.write_bytes(mutated(format, chosen.read_bytes(), random))
    return target


def finding(format: str, path: Path) -> str:
    """Return what is wrong with how a file is read, or ""."""
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _read(format, path)
    except CatenError as error:
        return _told_badly(error)
    except BaseException as error:  # whatever else comes out is a finding
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _read(format: str, path: Path) -> str:
    arrays: dict[str, Any] = {}
    with read_state_dict(path, root="") as found:
        for key, leaf in found.items():
            try:
                arrays[key] = leaf.numpy().copy()
            except CatenError as error:
                if bad := _told_badly(error):
                    return bad
    return _differs(format, path, arrays)


def _told_badly(error: CatenError) -> str:
    text = str(error)
    odd = [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if odd or len(text) > 4000:
        return f"a message with {odd[:3]} and {len(text)} characters: {text[:200]!r}"
    return ""


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
        if key in ours and _native(ours[key]) != _native(array):
            return f"{key!r} differs from what the format's own library reads"
    return ""


def _native(array: Any) -> bytes:
    """Return the bytes of an array in C order and in this machine's byte order."""
    return bytes(array.astype(array.dtype.newbyteorder("=")).tobytes())

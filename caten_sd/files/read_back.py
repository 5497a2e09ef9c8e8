"""Compare what was written with what was to be written, and measure what casts have lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from caten_sd.errors import FormatError
from caten_sd.files.cast import before_cast
from caten_sd.state.compare import largest_error, same_bytes
from caten_sd.state.leaf import spec
from caten_sd.state.pieces import content_hashes
from caten_sd.state.state_dict import StateDict


class ReadBack(NamedTuple):
    """The bytes that were read back, the casts by kind, and the largest error with its key."""

    size: int
    casts: Mapping[str, int]
    error: float
    error_key: str


def compare_written(
    expected: StateDict, written: Mapping[str, Any], hashes: Mapping[int, bytes], target: Path
) -> ReadBack:
    """Compare each tensor with the one expected; FormatError names the first that differs.

    What was hashed on its way into the file is not derived from the source a second time.
    """
    casts: Counter[str] = Counter()
    error, error_key, size = 0.0, "", 0
    equal = _equal(expected, written, hashes)
    for key, leaf in expected.items():
        if key not in written:
            raise FormatError(target, f"{key!r} is missing from it", "report this")
        if key in expected.ties:
            continue
        size += spec(leaf).nbytes
        same = key in equal or (id(leaf) not in hashes and same_bytes(leaf, written[key]))
        if not same or spec(leaf)[:2] != spec(written[key])[:2]:
            raise FormatError(target, f"{key!r} does not read back as written", "try again")
        if (before := before_cast(leaf)) is not None:
            casts[f"{spec(before).dtype} to {spec(leaf).dtype}"] += 1
            lost = largest_error(before, written[key])
            error, error_key = max((error, error_key), (lost, key))
    return ReadBack(size, casts, error, error_key)


def _equal(
    expected: StateDict, written: Mapping[str, Any], hashes: Mapping[int, bytes]
) -> set[str]:
    """Return the keys whose bytes are those that were hashed on their way into the file."""
    known = {key: hashes.get(id(leaf)) for key, leaf in expected.items() if key in written}
    keys = [key for key, digest in known.items() if digest and key not in expected.ties]
    found = content_hashes([written[key] for key in keys])
    return {key for key, each in zip(keys, found, strict=True) if known[key] == each}

"""A save that is interrupted at any step leaves the old checkpoint whole, or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.formats.test_conformance import writable

SHARDS = [
    # the target, and the sizes of the shards before and after, of models of 800 and 1,080 bytes
    ("ck/", 500, 500),
    ("ck/", 9000, 500),
    ("ck/", 500, 9000),
    ("model.safetensors.index.json", 500, 500),
]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="it tests POSIX locks")


def cases() -> list[tuple[str, str, int, int]]:
    """Return every format that is written, with a target; shards in several ways."""
    found = []
    for each in writable():
        suffix = each.suffixes[0]
        folder = "/" * (each.many and not suffix.endswith("/"))
        targets = SHARDS if each.name == "sharded" else [(f"model{suffix}{folder}", 0, 0)]
        found += [(each.name, *target) for target in targets]
    return found


def marked() -> Iterator[Any]:
    """Yield the cases; all but one are slow, as each has hundreds of steps."""
    for case in cases():
        marks = [] if case[0] == "safetensors" else [pytest.mark.slow]
        yield pytest.param(case, marks=marks, id=f"{case[0]}-{case[2]}-{case[3]}")


@pytest.mark.parametrize("case", list(marked()))
def test_interrupted_at_every_step(case: tuple[str, str, int, int]) -> None:
    given = dict(zip(("format", "name", "before", "after"), case, strict=True))
    done = subprocess.run(
        [sys.executable, "-m", "tests.files.interruptions", json.dumps(given)],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr or "it waited for a lock that nobody gave back"
    for counts in json.loads(done.stdout).values():
        assert counts.pop("new") > 0  # some came after the moment that counts, and most before it
        assert sum(counts.values()) > 30

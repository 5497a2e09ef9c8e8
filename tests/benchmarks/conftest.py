"""One table of ratios: ours against a peer, taken in turn in the same run.

``pytest tests/benchmarks`` prints it, and ``--json PATH`` writes it with the machine, the versions
and what the machine can do: copy memory, write to its disk, start an interpreter. Each row names
what bounds it. ``-m slow`` has the rows that take big files.

Nothing is asserted: the machine's speed drifts, and a timed test fails on a busy day. Ours and the
peer run in pairs, because drift then falls on both, which a benchmark of each for itself would not
show.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Row(NamedTuple):
    """One comparison: medians in ``unit``, the most that their ratio should be, and its bound."""

    what: str
    ours: float
    peer: float
    at_most: float
    unit: str
    bound: str


_MANY = 1 << 28  # bytes

ROWS = pytest.StashKey[list[Row]]()

Race = Callable[..., Row]


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.fixture
def race(request: pytest.FixtureRequest) -> Race:
    """``race(what, ours, peer, at_most)`` times two functions in pairs and adds a row."""
    rows = request.config.stash.setdefault(ROWS, [])

    def run(
        what: str,
        ours: Callable[[], Any],
        peer: Callable[[], Any],
        at_most: float,
        pairs: int = 7,
        measure: Callable[[Callable[[], Any]], float] = seconds,
        unit: str = "s",
        bound: str = "the processor",
    ) -> Row:
        measure(ours), measure(peer)  # the first pair warms caches and imports
        taken = [(measure(ours), measure(peer)) for _ in range(pairs)]
        medians = [statistics.median(column) for column in zip(*taken, strict=True)]
        rows.append(Row(what, *medians, at_most, unit, bound))
        return rows[-1]

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    width = max(len(row.what) for row in rows)
    terminalreporter.section("ratios")
    terminalreporter.line(f"{'what':<{width}}  ratio  at most        ours        peer")
    for row in rows:
        terminalreporter.line(
            f"{row.what:<{width}}  {row.ours / row.peer:5.3f}  {row.at_most:7.3f}"
            f"  {row.ours:10.4g}  {row.peer:10.4g} {row.unit}  {row.bound}"
        )
    if path := config.getoption("--json"):
        Path(path).write_text(json.dumps(record(rows), indent=1))


def record(rows: list[Row]) -> dict[str, Any]:
    """Return the table with what it was measured on."""
    packages = ("numpy", "torch", "safetensors", "gguf", "multipledispatch", "xxhash")
    return {
        "version": 1,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"system": platform.platform(), "cpu": _cpu(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "bounds": bounds(),
        "rows": [{**row._asdict(), "ratio": row.ours / row.peer} for row in rows],
    }


def bounds() -> dict[str, float]:
    """Return seconds: what no program on this machine can do without."""
    source, target = bytes(_MANY), bytearray(_MANY)

    def copy() -> None:
        target[:] = source

    def write() -> None:
        with tempfile.TemporaryFile() as file:
            file.write(source)
            os.fsync(file.fileno())

    def start() -> None:
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)

    known = {"copy 256 MiB of memory": copy, "write 256 MiB with fsync": write}
    every = {**known, "start Python and import numpy": start}
    return {name: statistics.median(seconds(run) for _ in range(5)) for name, run in every.items()}


def _cpu() -> str:
    """Return what the system calls the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()

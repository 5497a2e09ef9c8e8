"""Run a command from a small process, so that its peak of memory is its own.

A process begins with the peak of the one that started it, and pytest's is large.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

STARTER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], check=True, capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps([peak, done.stdout]))
"""


class Finished(NamedTuple):
    """The peak of memory of a command, in MB, and what it printed."""

    peak: float
    output: str


def run_alone(words: Sequence[str | Path], cwd: Path | None = None) -> Finished:
    """Run a command to its end, started by a process of 10 MB."""
    starter = [sys.executable, "-S", "-c", STARTER, *map(str, words)]
    done = subprocess.run(starter, cwd=cwd, check=True, capture_output=True, text=True)
    return Finished(*json.loads(done.stdout))

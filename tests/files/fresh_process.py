"""Measure what it takes to read a file, in a process of its own.

One that is forked from this process has memory to use again, which hides much.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_READ = """
import resource, sys
import caten_sd as sd

def used():
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))
    return peak, sum(resource.getrusage(resource.RUSAGE_SELF)[:2])

memory, seconds = used()
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
try:
    said = f"read {len(sd.read_state_dict(sys.argv[1]))}"
except sd.FormatError as error:
    said = str(error)
print(used()[0] - memory, used()[1] - seconds, said)
"""


def reading(path: Path, most: int) -> tuple[int, float, str]:
    """Return the memory and seconds that reading a file takes, and what became of it."""
    command = [sys.executable, "-c", _READ, str(path), str(3 * most + (1 << 30))]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    memory, seconds, outcome = said.split(" ", 2)
    return int(memory), float(seconds), outcome

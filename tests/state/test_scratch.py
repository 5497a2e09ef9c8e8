from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy
from caten_sd.state.scratch import keep_scratch
if sys.argv[1:]:
    keep_scratch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    numpy.ones(1 << 18)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's way with memory")
def test_freed_memory_is_used_again() -> None:
    def faults(*words: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", FAULTS, *words]))

    assert faults("kept") < max(faults() / 2, 2_000)

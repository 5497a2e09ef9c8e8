"""The shipped GPT-2 writes its line in Flax; without Flax, the example says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HAS_FLAX = find_spec("flax") is not None


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "worlds.py"), *words]
    here = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        command, capture_output=True, check=False, encoding="utf-8", env=here, cwd=ROOT.parent
    )


@pytest.mark.slow
@pytest.mark.skipif(not HAS_FLAX, reason="Flax is not installed")
def test_it_writes_the_same_line_in_flax() -> None:
    done = run("--tokens", "40")
    assert (done.returncode, done.stderr) == (0, "")
    rows, line, same = done.stdout.splitlines()
    assert rows.startswith("53 rows")
    assert line.removeprefix("torch:") == same.removeprefix("flax :")
    assert "The first thing that was" in line


@pytest.mark.slow
@pytest.mark.skipif(HAS_FLAX, reason="Flax is installed")
def test_without_flax_it_says_what_to_install() -> None:
    done = run()
    assert done.returncode == 1
    assert done.stderr == "this example needs Flax: pip install 'caten-sd[flax]'\n"

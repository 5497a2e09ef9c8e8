"""Seeds, inputs that once failed, and ``python -m tests.fuzz``, which tries many more.

A few damaged files of every format are tried by tests/formats/test_conformance.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caten_sd import read_state_dict
from tests.fuzz.seeds import SEEDS, seeds_of
from tests.fuzz.trial import finding

KEPT = sorted(path for path in (Path(__file__).parent / "kept").iterdir() if path.suffix != ".py")


@pytest.mark.parametrize("format", SEEDS)
def test_seeds_are_sound(format: str, tmp_path: Path) -> None:
    for seed in seeds_of(format, tmp_path / "seeds"):
        with read_state_dict(seed, root="") as found:
            assert found
            for leaf in found.values():
                leaf.numpy()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_inputs_that_once_failed(path: Path) -> None:
    assert finding(path.name.rpartition("-")[0], path) == ""


def test_the_command_repeats_a_run_and_reports(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--format",
        "npy",
        "--count",
        "40",
        "--seed",
        "7",
    ]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].startswith("seed 7;")
    assert "npy: 40 inputs" in done.stdout

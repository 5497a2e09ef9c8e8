from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from caten_sd import read_state_dict

EXAMPLES = Path(__file__).parents[2] / "examples"


def torchrun(world: int, *arguments: object) -> str:
    """Run the example and return what it prints."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(world), str(EXAMPLES / "sharded.py"), *map(str, arguments)]
    own = {"PYTHONPATH": str(EXAMPLES.parent), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, check=False, encoding="utf-8", env={**os.environ, **own}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_output(output: str, world: int) -> None:
    read = re.findall(r"read ([\d,]+) of ([\d,]+) bytes", output)
    assert len(read) == world
    assert {int(own.replace(",", "")) for own, _ in read} == {1986816 // world}
    assert output.count("53 of 53 slots of FSDPGPT2 fit") == 2
    assert output.count("loaded the same from") == world
    assert "In the beginning of the children of Israel" in output


@pytest.mark.slow
def test_two_processes_load_save_and_load(tmp_path: Path) -> None:
    check_output(torchrun(2, "--out", tmp_path), 2)
    with read_state_dict(tmp_path / "gpt2.dcp") as state:
        given = load_file(EXAMPLES / "tiny_gpt2" / "model.safetensors")
        wanted = given["transformer.h.3.mlp.c_fc.weight"].T
        assert torch.equal(state["h.3.mlp.c_fc.weight"].torch(), wanted)


@pytest.mark.slow
def test_four_processes_load_what_two_saved_and_save_over_it(tmp_path: Path) -> None:
    torchrun(2, "--out", tmp_path)
    check_output(torchrun(4, tmp_path / "gpt2.dcp", "--out", tmp_path), 4)

"""The port of GPT-2: its text, keys, numbers and a step of training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caten_sd.lisp.port.ported_module import port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LISP = sorted((EXAMPLES / "lisp").glob("*.lisp"))


@pytest.mark.parametrize("file", LISP, ids=lambda each: each.stem)
def test_the_python_next_to_the_lisp_is_what_it_becomes(file: Path) -> None:
    ported = port(file)
    assert ported.problems == ()
    assert ported.text == file.with_suffix(".py").read_text("utf-8")


def test_the_keys_are_those_that_caten_documents() -> None:
    cases = json.loads((ROOT / "tests" / "data" / "caten_keys.json").read_text("utf-8"))["cases"]
    (keys,) = (each["keys"] for each in cases if each["call"] == "(Transformer 32 2 2 1e-5 32)")
    listing = (EXAMPLES / "lisp" / "caten_keys.txt").read_text("utf-8")
    assert [line.split(" ", 1)[0] for line in listing.splitlines()] == [key for key, _ in keys]
    assert [line.split("-> ")[1] for line in listing.splitlines()] == [shape for _, shape in keys]


def test_the_example_does_all_of_it() -> None:
    command = [sys.executable, "-W", "error", EXAMPLES / "port_gpt2.py", "--tokens", "20"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", env=here)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sum(line.endswith(": True") for line in lines) == 3
    assert "53 of 53 slots of Transformer fit, and the file has nothing else" in lines
    assert any(line.startswith("In the beginning") for line in lines)

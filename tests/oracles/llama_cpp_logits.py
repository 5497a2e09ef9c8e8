"""What llama.cpp itself computes from a GGUF, by a small program that is compiled against it.

The folder is one in which ``npm install --ignore-scripts node-llama-cpp`` ran: it has llama.cpp
built, and its source in a bundle of git.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAM = Path(__file__).with_suffix(".c")
TOKENS = [7, 33, 90, 12, 150, 7, 61, 3]
# Architectures that give a vector for each token instead of logits.
ENCODERS = {"bert", "eurobert", "gemma-embedding", "modern-bert", "t5encoder"}


class LlamaCpp:
    """A program that opens a GGUF in llama.cpp and runs it on a few tokens."""

    def __init__(self, node: Path, folder: Path) -> None:
        """Compile it in ``folder``; skip the test where that cannot be done."""
        if not shutil.which("cc"):
            pytest.skip("no C compiler is there for llama.cpp's functions")
        (self.libraries,) = node.glob("node_modules/@node-llama-cpp/linux-x64/bins/*/")
        bundle = node / "node_modules/node-llama-cpp/llama/gitRelease.bundle"
        source = folder / "llama.cpp"
        _run("git", "clone", "-q", "--no-checkout", bundle, source)
        _run("git", "-C", source, "checkout", "-q", "HEAD", "--", "include", "ggml/include")
        self.program = folder / "logits"
        linked = [
            path for name in ("llama", "ggml") for path in self.libraries.glob(f"lib{name}.v*.so")
        ]
        _run(
            "cc", f"-I{source / 'include'}", f"-I{source / 'ggml/include'}", PROGRAM, *linked,
            self.libraries / "libggml-base.so", f"-Wl,-rpath,{self.libraries}", "-o", self.program,
        )  # fmt: skip

    def numbers(
        self, path: Path, architecture: str, tokens: Sequence[int] = TOKENS
    ) -> np.ndarray | str:
        """Return what a model gives for tokens, one after the other, or why it is refused."""
        kind = "embeddings" if architecture in ENCODERS else "logits"
        command = [self.program, self.libraries, kind, path, *map(str, tokens)]
        quiet = {**os.environ, "GGML_NO_BACKTRACE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=quiet)
        if done.returncode or not done.stdout:
            return f"aborted: {done.stderr.strip()}"
        found = json.loads(done.stdout.splitlines()[-1])
        return str(found["refused"]) if "refused" in found else np.array(found["numbers"], "f4")


def _run(*command: Any) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)

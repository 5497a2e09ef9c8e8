"""Run a command in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.cli import main

TRANSFORMER = "caten_sd.nn:Transformer(32, 2, 2, 1e-5, 32)"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Return the exit code, and what the command printed on both streams."""
    code = main([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def failed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Return the one sentence of a command that fails."""
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("caten-sd: ")
    return err

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import TRANSFORMER, run


def test_check_says_why_it_does_not_fit_and_what_to_do(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    code, out, _ = run(capsys, "check", gpt2, "--against", TRANSFORMER)
    assert code == 1
    assert len(out.splitlines()) <= 20
    assert "in the model, not in the file" in out
    assert "hf-gpt2" in out
    code, out, _ = run(capsys, "check", gpt2, "--to", "caten-gpt2", "--against", TRANSFORMER)
    assert code == 0
    assert out.startswith("29 of 29 slots of Transformer fit")
    code, out, _ = run(
        capsys, "check", gpt2, "--to", "caten-gpt2", "--against", TRANSFORMER, "--json"
    )
    assert json.loads(out)["fits"] is True


def test_check_against_a_layout(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "check", gpt2, "--against", "hf-gpt2")
    assert code == 0, out
    code, out, _ = run(capsys, "check", gpt2, "--against", "caten-gpt2")
    assert code == 1
    assert "hf-gpt2" in out

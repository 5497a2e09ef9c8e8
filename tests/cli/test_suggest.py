"""``caten-sd suggest A B``: what is printed and written, and the exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd import Layout
from tests.cli.running import failed, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(
        {"in.w": np.zeros((8, 4), "f4"), "in.b": np.zeros(8, "f4")}, tmp_path / "a.safetensors"
    )
    return tmp_path / "a.safetensors"


def test_a_draft_is_printed_and_written(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    code, out, err = run(capsys, "suggest", file, "caten_sd.nn:Linear(4, 8)", "--all", "-o", path)
    assert (code, err) == (0, "")
    assert "in.w <-> weight" in out
    assert Layout.from_toml(path).name == "mine"
    _, out, _ = run(capsys, "suggest", file, "caten_sd.nn:Linear(4, 8)", "--json")
    assert len(json.loads(out)["groups"]["told by its shape"]) == 2


def test_what_is_open_is_code_1(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "none.toml"
    code, out, err = run(capsys, "suggest", file, "caten_sd.nn:Linear(3, 5)", "-o", target)
    assert code == 1
    assert "open in A (2)" in out
    assert str(target) in err
    assert not target.exists()
    assert "no.safetensors" in failed(capsys, "suggest", file, tmp_path / "no.safetensors")

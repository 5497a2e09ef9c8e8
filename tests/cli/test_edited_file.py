"""The layout that explain and suggest write is kept once it is edited."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from caten_sd.layout import Layout
from tests.cli.running import failed, run


@pytest.mark.parametrize("command", ["explain", "suggest"])
def test_what_was_edited_is_kept(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.safetensors"
    save_file({"w": np.arange(6, dtype="f4").reshape(2, 3)}, weights)
    target = tmp_path / "mine.toml"
    words = command, weights, weights, "-o"
    for _ in range(2):
        assert run(capsys, *words, target)[0] == 0
    target.write_text(target.read_text() + "# mine\n")
    edited = target.read_text()
    assert "--force" in failed(capsys, *words, target)
    assert target.read_text() == edited
    assert run(capsys, *words, target, "--force")[0] == 0
    assert "# mine" not in target.read_text()
    assert Layout.from_toml(target).name == "mine"

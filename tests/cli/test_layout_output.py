"""``-o FILE.toml``: what is never written over."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.running import failed, run


@pytest.mark.parametrize("command", ["explain", "suggest"])
def test_only_a_layout_is_written_over(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other, mine = (tmp_path / name for name in ("a.safetensors", "b.toml", "mine.toml"))
    save_file({"w": np.arange(6, dtype="f4").reshape(2, 3)}, file)
    other.write_text("[project]\n")
    before = file.read_bytes()
    for path in (file, tmp_path):
        with pytest.raises(SystemExit):
            run(capsys, command, file, file, "-o", path)
        assert path.name in capsys.readouterr().err
    assert other.name in failed(capsys, command, file, file, "-o", other)
    assert (file.read_bytes(), other.read_text()) == (before, "[project]\n")
    assert [run(capsys, command, file, file, "-o", mine)[0] for _ in range(2)] == [0, 0]

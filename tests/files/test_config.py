from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.files import config
from caten_sd.files.config import config_of


def test_the_config_is_that_in_the_folder_or_next_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    assert config_of(tmp_path) == {"n_head": 4}
    assert config_of(tmp_path / "model.safetensors") == {"n_head": 4}


def test_the_config_next_to_an_archive_is_not_that_of_its_members(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    assert config_of(tmp_path / "a.tar::model.safetensors") is None


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_config_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert config_of(tmp_path) is None
    assert config_of(tmp_path / "absent" / "w.pt") is None


def test_a_config_over_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"n_head": 4}')
    monkeypatch.setattr(config, "MAX_CONFIG", 5)
    assert config_of(tmp_path) is None

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd.files.checkpoint import read_state_dict
from caten_sd.formats.torch import dcp_records
from tests.formats.torch.test_dcp import GRID, W, cut


def test_the_format_of_the_records_is_found_once_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(source: Any) -> Any:
        asked.append(source.name)
        return find_format(source)

    find_format = dcp_records.find_format
    monkeypatch.setattr(dcp_records, "find_format", counted)
    for folder in (tmp_path / "a", tmp_path / "b"):
        cut(folder, W, GRID)
        with read_state_dict(folder) as found:
            assert torch.equal(found["w"].torch(), W)
    assert [Path(name.split(", ")[0]).parent.name for name in asked] == ["a", "b"]

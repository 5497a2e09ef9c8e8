from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from caten_sd.files.checkpoint import read_state_dict
from caten_sd.formats.torch import dcp_records
from tests.formats.torch.test_dcp import GRID, W, cut, edited


def test_only_the_format_of_torch_save_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_called(source: Any) -> None:
        raise AssertionError(f"every format was asked for {source.name}")

    monkeypatch.setattr(dcp_records, "find_format", not_called)
    cut(tmp_path, W, GRID)
    with read_state_dict(tmp_path) as found:
        assert torch.equal(found["w"].torch(), W)


def test_a_record_in_the_older_format_of_torch_save(tmp_path: Path) -> None:
    file = io.BytesIO()
    torch.save(W, file, _use_new_zipfile_serialization=False)
    cut(tmp_path, W, [((0, 0), (8, 6))])
    (tmp_path / "__0_0.distcp").write_bytes(file.getvalue())

    def change(metadata: Any) -> None:
        place = next(iter(metadata.storage_data.values()))
        place.offset, place.length = 0, len(file.getvalue())

    with read_state_dict(edited(tmp_path, change)) as found:
        assert torch.equal(found["w"].torch(), W)

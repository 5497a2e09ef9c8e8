"""Paths that cannot be opened: what is said to be done about each."""

from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.state.source import open_file
from caten_sd.state.unopened import remedy_for_missing


@pytest.mark.parametrize("address", ["https://host/a.safetensors", "s3://bucket/a.pt", "hf://a/b"])
def test_an_address_is_to_be_downloaded(address: str) -> None:
    with pytest.raises(FormatError, match="download it first"):
        open_file(Path(address))


def test_the_nearest_name_in_the_folder_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "model'.pt").touch()
    assert remedy_for_missing(tmp_path / "modle'.pt").startswith("did you mean ")
    assert str(tmp_path / "model'.pt") in remedy_for_missing(tmp_path / "modle'.pt")
    for path in (tmp_path / "x", tmp_path / "none" / "model.pt", Path("C:/model.pt")):
        assert remedy_for_missing(path) == "check the path"

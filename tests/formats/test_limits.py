"""What a format cannot hold is refused before the first byte, with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.files.catalog import formats
from caten_sd.formats.safetensors import one_file

W = {"w": np.ones(4, "f4"), "v": np.zeros(2, "f4")}


def test_a_header_over_the_limit_of_safetensors_is_refused_and_shards_are_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_file, "MAX_HEADER", 200)
    many = {f"layer.{n}": np.ones(2, "f4") for n in range(20)}
    with pytest.raises(sd.StateDictError, match=r"20 tensors .* allows 200; .* max_shard_size"):
        sd.write_state_dict(many, tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []
    sd.write_state_dict(many, f"{tmp_path}/shards/", max_shard_size="8B")
    assert list(sd.read_state_dict(tmp_path / "shards")) == list(many)


@pytest.mark.parametrize("name", ["out.index.json", "index.index.json"])
def test_an_index_whose_name_says_nothing_of_its_shards_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(sd.FormatError, match=r"model\.safetensors\.index\.json"):
        sd.write_state_dict(W, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(each.name for each in formats()))
def test_a_format_can_be_asked_for_by_its_name(name: str, tmp_path: Path) -> None:
    chosen = next(each for each in formats() if each.name == name)
    results: list[Any] = []
    for format in (chosen, name):
        target = tmp_path / str(len(results)) / "checkpoint"
        target.parent.mkdir()
        try:
            sd.write_state_dict(W, target, format=format)
            with sd.read_state_dict(target, format=format) as found:
                results.append(sorted(found))
        except sd.CatenError as error:
            results.append(type(error))
    assert results[0] == results[1]


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(sd.FormatError, match=r"'safetensor'.* 'gguf', .* 'safetensors'"):
        sd.write_state_dict(W, tmp_path / "w", format="safetensor")
    sd.write_state_dict(W, tmp_path / "w", format="safetensors")
    with pytest.raises(sd.FormatError, match="'zip'"):
        sd.read_state_dict(tmp_path / "w", format="zip")

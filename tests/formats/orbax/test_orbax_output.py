from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd

W = np.arange(6, dtype="f4").reshape(2, 3)


def paths(folder: Path) -> list[list[str]]:
    tree = json.loads((folder / "_METADATA").read_text())["tree_metadata"]
    return [[part["key"] for part in each["key_metadata"]] for each in tree.values()]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["h.0.w", "h.0.b"], [["h", "0", "w"], ["h", "0", "b"]]),
        (["a", "a.b"], [["a"], ["a.b"]]),
        (["a.b", "a.b.c", "x.y"], [["a.b"], ["a.b.c"], ["x.y"]]),
        (["a..b", "c.d"], [["a..b"], ["c.d"]]),
        (["x/y.z"], [["x/y", "z"]]),
        ([".".join("a" * 100)], [["a"] * 100]),
        ([".".join("a" * 101)], [[".".join("a" * 101)]]),
    ],
)
def test_keys_are_nested_at_their_dots_where_that_can_be_undone(
    keys: list[str], expected: list[list[str]], tmp_path: Path
) -> None:
    sd.write_state_dict({key: W + n for n, key in enumerate(keys)}, tmp_path / "c.orbax")
    assert paths(tmp_path / "c.orbax") == expected
    with sd.read_state_dict(tmp_path / "c.orbax") as state:
        assert list(state) == keys


@pytest.mark.parametrize(
    "key",
    [
        "../w",
        "/w",
        "a//b",
        "a/./b",
        "w\0",
        "a\\b",
        "x" * 300,
        "é" * 128,
        "_METADATA",
        "_sharding/w",
    ],
)
def test_a_key_that_is_not_a_path_of_folders_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(sd.StateDictError) as caught:
        sd.write_state_dict({key: W}, tmp_path / "c.orbax")
    assert repr(key) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keys", [("w", "w/0.0"), ("w/0.0", "w"), ("a/b", "a/b/c/d")])
def test_a_key_among_the_files_of_another_is_refused(keys: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(sd.StateDictError, match="among the files of"):
        sd.write_state_dict({key: W + n for n, key in enumerate(keys)}, tmp_path / "c.orbax")


@pytest.mark.parametrize("dtype", ["V2", "U1", "M8[s]", ml_dtypes.int4])
def test_a_dtype_that_zarr_lacks_is_refused(dtype: Any, tmp_path: Path) -> None:
    with pytest.raises(sd.StateDictError, match="orbax cannot hold 'w'"):
        sd.write_state_dict({"w": np.zeros(2, dtype)}, tmp_path / "c.orbax")


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    sd.write_state_dict({"w": W}, tmp_path / "c.orbax")
    with pytest.raises(sd.FormatError, match="something already"):
        sd.write_state_dict({"w": W + 1}, tmp_path / "c.orbax")


def test_the_bytes_of_an_array_are_mapped(tmp_path: Path) -> None:
    sd.write_state_dict({"w": W}, tmp_path / "c.orbax")
    assert (tmp_path / "c.orbax" / "w" / "0.0").read_bytes() == W.tobytes()
    with sd.read_state_dict(tmp_path / "c.orbax") as state:
        base = state["w"].numpy()
        while isinstance(base, np.ndarray):
            base = base.base
    assert type(getattr(base, "obj", base)).__name__ == "mmap"


def test_all_folders_are_on_disk_before_the_checkpoint_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("caten_sd.files.new_folder.sync_folder", synced.append)
    sd.write_state_dict({"a/b/e": W, "c": W + 1}, tmp_path / "c.orbax")
    assert {each.name for each in synced} >= {"a", "b", "c", "e", tmp_path.name}

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGUFValueType

from caten_sd.errors import FormatError
from caten_sd.files.checkpoint import read_state_dict

TENSORS = {f"blk.{i}.w": np.full((2, 3), i, "f4") for i in range(5)}


def part(number: int) -> str:
    return f"m-{number:05}-of-00003.gguf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model that gguf-py wrote in three parts."""
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "gpt2", split_max_tensors=2)
    writer.add_uint32("gpt2.block_count", 5)
    for name, array in TENSORS.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [part(n) for n in (1, 2, 3)]
    return tmp_path


@pytest.mark.parametrize("name", [part(1), part(2), part(3), ""])
def test_any_part_or_the_folder_opens_all_of_them(folder: Path, name: str) -> None:
    with read_state_dict(folder / name) as found:
        assert list(found) == list(TENSORS)
        for key, array in TENSORS.items():
            np.testing.assert_array_equal(found[key].numpy(), array)
        assert found.metadata == {
            "general.architecture": "gpt2",
            "gpt2.block_count": 5,
            "GGUF.types": {"gpt2.block_count": "uint32"},
        }


def test_a_missing_part_is_named(folder: Path) -> None:
    (folder / part(2)).unlink()
    with pytest.raises(FormatError, match=f"3 files, .*{part(2)} is missing"):
        read_state_dict(folder / part(3))


def test_a_part_under_another_parts_name_is_refused(folder: Path) -> None:
    shutil.copy(folder / part(1), folder / part(2))
    with pytest.raises(FormatError, match=r"name says file 2 of 3, .* split.no 0 \(from 0\)"):
        read_state_dict(folder / part(1))


def test_a_part_without_its_name_is_refused(folder: Path) -> None:
    (folder / part(1)).rename(folder / "m.gguf")
    with pytest.raises(FormatError, match="one of 3 files of a split GGUF"):
        read_state_dict(folder / "m.gguf")


def write_part(path: Path, number: int, total: int, name: str, context: int = 8) -> None:
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_key_value("split.no", number, GGUFValueType.UINT16)
    writer.add_key_value("split.count", 2, GGUFValueType.UINT16)
    writer.add_key_value("split.tensors.count", total, GGUFValueType.INT32)
    writer.add_context_length(context)
    writer.add_tensor(name, np.ones(3, "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("total", "name", "context", "message"),
    [
        (2, "a", 8, "'a' is in it and in .*x-00001-of-00002.gguf; get all files of one model"),
        (3, "b", 8, "split.tensors.count is 3, .* have 2"),
        (2, "b", 9, "'gpt2.context_length' differs"),
    ],
)
def test_parts_of_different_models_are_refused(
    tmp_path: Path, total: int, name: str, context: int, message: str
) -> None:
    write_part(tmp_path / "x-00001-of-00002.gguf", 0, total, "a")
    write_part(tmp_path / "x-00002-of-00002.gguf", 1, total, name, context)
    with pytest.raises(FormatError, match=message):
        read_state_dict(tmp_path / "x-00002-of-00002.gguf")


def test_two_models_in_a_folder_are_named(tmp_path: Path) -> None:
    for model in "xy":
        for number in (0, 1):
            path = tmp_path / f"{model}-{number + 1:05}-of-00002.gguf"
            write_part(path, number, 2, f"t{number}")
    with pytest.raises(FormatError, match=r"2 checkpoints are in it: x-00001-of-00002\.gguf \("):
        read_state_dict(tmp_path)
    with read_state_dict(tmp_path / "y-00002-of-00002.gguf") as found:
        assert list(found) == ["t0", "t1"]

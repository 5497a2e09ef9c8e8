from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.errors import FormatError
from caten_sd.files.folder_entry import find_entry
from caten_sd.state.source import Folder

SUFFIXES = (".safetensors", ".bin", ".pt", ".ckpt", ".gguf")


def folder_of(path: Path, *names: str) -> Folder:
    for name in names:
        (path / name).write_bytes(b"x" * len(name))
    return Folder(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.safetensors", "pytorch_model.bin"], "model.safetensors"),
        (["model.safetensors", "adapter_model.safetensors"], "model.safetensors"),
        (["other.safetensors", "pytorch_model.bin"], "other.safetensors"),
        (["model.safetensors.index.json", "consolidated.safetensors"], None),
        (["model.safetensors", "model.safetensors.index.json"], "model.safetensors"),
        (["pytorch_model.bin", "training_args.bin", "optimizer.pt"], "pytorch_model.bin"),
        (["last.ckpt", "rng_state.pt", "scheduler.pt", "config.json", "README.md"], "last.ckpt"),
        (["config.json", "tokenizer.json"], ""),
        ([".hidden.pt"], ""),
        (["model.gguf", "config.json"], "model.gguf"),
    ],
)
def test_which_file_is_the_model(tmp_path: Path, names: list[str], expected: str | None) -> None:
    entry = find_entry(folder_of(tmp_path, *names), SUFFIXES)
    if expected is None:
        assert entry is not None
        assert entry.is_set
    else:
        assert (entry.name if entry else "") == expected


def test_a_set_without_an_index_is_one_thing(tmp_path: Path) -> None:
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    entry = find_entry(folder_of(tmp_path, *names), SUFFIXES)
    assert entry is not None
    assert [str(shard) for shard in entry.shards] == names


def test_several_models_are_refused_with_their_sizes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.pt", "bb.ckpt")
    with pytest.raises(FormatError, match=r"2 checkpoints are in it: a\.pt \(4 bytes\), bb\.ckpt"):
        find_entry(folder, SUFFIXES)


def test_an_index_by_which_a_folder_was_opened(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.safetensors.index.json", "b.safetensors.index.json")
    entry = find_entry(Folder(tmp_path, "b.safetensors.index.json"), SUFFIXES)
    assert entry is not None
    assert entry.name == "b.safetensors.index.json"
    assert find_entry(Folder(tmp_path, ".metadata"), SUFFIXES) is None

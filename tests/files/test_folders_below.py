"""Folders whose checkpoint is in a folder below: opened if one is meant, else named with a line."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from caten_sd import FormatError, read_state_dict, write_state_dict
from caten_sd.cli import main

W = np.arange(3, dtype="f4")


def save(path: Path, key: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_state_dict({key: W}, path)
    return path


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache of huggingface_hub: blobs, and links to them in two snapshots."""
    root = tmp_path / "models--org--name"
    for revision in ("aaa", "bbb"):
        blob = save(root / "blobs" / f"{revision}.safetensors", key=revision)
        snapshot = root / "snapshots" / revision
        snapshot.mkdir(parents=True)
        os.symlink(os.path.relpath(blob, snapshot), snapshot / "model.safetensors")
        write(snapshot / "config.json", f'{{"revision": "{revision}"}}')
    write(root / "refs" / "main", "bbb")
    return root


def test_the_cache_of_hugging_face_follows_refs_main(cache: Path) -> None:
    state_dict = read_state_dict(cache)
    assert list(state_dict) == ["bbb"]
    assert state_dict.config == {"revision": "bbb"}


def test_a_cache_without_refs_main_names_its_snapshots(cache: Path) -> None:
    (cache / "refs" / "main").unlink()
    with pytest.raises(FormatError, match=r"snapshots/aaa, snapshots/bbb"):
        read_state_dict(cache)


def test_a_cache_without_refs_main_and_with_one_snapshot(tmp_path: Path) -> None:
    save(tmp_path / "snapshots" / "ccc" / "model.safetensors")
    assert list(read_state_dict(tmp_path)) == ["w"]


@pytest.mark.parametrize("text", ["../../elsewhere", "..", ".", "", "a\0b", "zzz", "/", "\xff" * 9])
def test_a_name_that_is_not_a_folder_of_the_cache_is_not_followed(cache: Path, text: str) -> None:
    save(cache.parent / "elsewhere" / "model.safetensors")
    write(cache / "refs" / "main", text)
    with pytest.raises(FormatError, match="snapshots/aaa"):
        read_state_dict(cache)


@pytest.mark.parametrize("flavor", ["pytorch", "transformers"])
@pytest.mark.parametrize("data", ["data", "model"])
def test_an_mlflow_model_is_its_data(tmp_path: Path, flavor: str, data: str) -> None:
    text = f"artifact_path: m\nflavors:\n  python_function:\n    env: x\n  {flavor}:\n    a: b\n"
    write(tmp_path / "MLmodel", text + "run_id: 1\n")
    save(tmp_path / data / "model.safetensors")
    assert list(read_state_dict(tmp_path)) == ["w"]


def test_an_mlflow_model_of_another_library_is_named(tmp_path: Path) -> None:
    write(tmp_path / "MLmodel", "flavors:\n  python_function:\n    a: b\n  prophet:\n    a: b\n")
    with pytest.raises(FormatError, match="an MLflow model for prophet; load it with mlflow"):
        read_state_dict(tmp_path)


def test_latest_of_deepspeed(tmp_path: Path) -> None:
    for step in (5, 10):
        save(tmp_path / f"global_step{step}" / "mp_rank_00_model_states.pt", key=f"w{step}")
    write(tmp_path / "latest", "global_step10\n")
    write(tmp_path / "zero_to_fp32.py")
    assert list(read_state_dict(tmp_path)) == ["w10"]
    save(tmp_path / "model.safetensors", key="own")  # as the Trainer of transformers writes
    assert list(read_state_dict(tmp_path)) == ["own"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["checkpoint-500", "checkpoint-1000"], "checkpoint-1000"),
        (["unet", "vae", "text_encoder"], "text_encoder"),
        (["lightning_logs/version_0/checkpoints"], "lightning_logs/version_0/checkpoints"),
        (["a $(touch x) 'b"], "a $(touch x) 'b"),
    ],
)
def test_folders_below_are_named_with_a_line_that_opens_one(
    tmp_path: Path, names: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "model_index.json", "{}")
    write(tmp_path / "scheduler" / "scheduler_config.json", "{}")
    for name in names:
        save(tmp_path / name / "model.safetensors")
    with pytest.raises(FormatError) as caught:
        read_state_dict(tmp_path)
    for name in names:
        assert name in str(caught.value)
    assert main(["show", str(tmp_path)]) == 2
    line = re.search("caten-sd (show .*)", capsys.readouterr().err)
    assert line
    if "'" not in shown:
        assert shlex.split(line[1]) == ["show", str(tmp_path / shown)]
        assert main(shlex.split(line[1])) == 0


def test_steps_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for step in (1000, 500, 20):
        save(tmp_path / f"checkpoint-{step}" / "model.safetensors")
    with pytest.raises(FormatError, match="checkpoint-20, checkpoint-500, checkpoint-1000"):
        read_state_dict(tmp_path)


def test_links_to_a_folder_above_end_the_search(tmp_path: Path) -> None:
    write(tmp_path / "a" / "notes.txt")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    with pytest.raises(FormatError, match="no file in it makes it a checkpoint"):
        read_state_dict(tmp_path)

"""Zip files and folders that are checkpoints of other libraries are named for what they are."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from caten_sd import FormatError, read_state_dict

torch = pytest.importorskip("torch")

NAMED = {
    ("saved_model.pb", "variables/x.index"): "SavedModel",
    ("ckpt-1.index", "ckpt-1.data-00000-of-00001"): "TensorFlow checkpoint",
    ("model.json", "group1-shard1of2.bin", "group1-shard2of2.bin"): "TensorFlow.js",
    ("zarr.json", "w/c"): "zarr",
    ("_CHECKPOINT_METADATA", "manifest.ocdbt"): "Orbax",
    ("schema.json", "0.npy", "x.npy"): "skops",
    ("config.json", "metadata.json", "model.weights.h5"): "Keras",
    ("model.onnx", "config.json"): "ONNX",
    ("tf_model.h5", "config.json"): "Keras",
}


@pytest.mark.parametrize(
    ("members", "fix"),
    [
        (("p/archive_format", "p/data/sample_inputs/model.pt"), "pack it"),
        (("serialized_exported_program.json", "serialized_example_inputs.pt"), ".*state_dict"),
    ],
)
def test_an_unpacked_program_is_not_its_example_input(
    tmp_path: Path, members: tuple[str, ...], fix: str
) -> None:
    torch.save([torch.ones(2)], tmp_path / "inputs.pt")
    with tarfile.open(tmp_path / "m.tar", "w") as archive:
        for name in members:
            archive.add(tmp_path / "inputs.pt", name)
    with pytest.raises(FormatError, match=rf"torch\.export.* {fix}"):
        read_state_dict(tmp_path / "m.tar")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of a storage class
def test_a_torch_package(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with torch.package.PackageExporter(str(path)) as exporter:
        exporter.extern("torch.**")
        exporter.save_pickle("model", "model.pkl", torch.ones(2))
    with pytest.raises(FormatError, match="PackageImporter"):
        read_state_dict(path)


@pytest.mark.parametrize("backend", ["zarr", "torch_dist"])
def test_a_megatron_folder_is_not_its_common_pt(tmp_path: Path, backend: str) -> None:
    torch.save({"iteration": 7, "w": torch.ones(1)}, tmp_path / "common.pt")
    (tmp_path / "metadata.json").write_text(json.dumps({"sharded_backend": backend}))
    weights = tmp_path / "decoder.w"
    weights.mkdir()
    np.ones(2, "f4").tofile(weights / "0")
    with pytest.raises(FormatError, match=r"\.metadata" if backend == "torch_dist" else "zarr"):
        read_state_dict(tmp_path)
    assert len(read_state_dict(tmp_path / "common.pt")) == 1


def make(members: tuple[str, ...], folder: Path) -> None:
    for member in members:
        (folder / member).parent.mkdir(parents=True, exist_ok=True)
        (folder / member).write_bytes(b"x")


FOLDERS = [each for each in NAMED.items() if each[1] != "skops"]  # which writes zip files


@pytest.mark.parametrize(("members", "named"), FOLDERS)
def test_a_folder_of_another_library(tmp_path: Path, members: tuple[str, ...], named: str) -> None:
    make(members, tmp_path / "in")
    with pytest.raises(FormatError, match=named):
        read_state_dict(tmp_path / "in")


@pytest.mark.parametrize(("members", "named"), NAMED.items())
def test_the_same_as_a_zip_file(tmp_path: Path, members: tuple[str, ...], named: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for member in members:
            archive.writestr(member, "x")
    with pytest.raises(FormatError, match=named):
        read_state_dict(tmp_path / "m.zip")


SOME = [names for names in NAMED if not {"model.json", "schema.json"} & set(names)]


@pytest.mark.parametrize("members", SOME)
def test_a_model_next_to_files_of_another_library_is_read(
    tmp_path: Path, members: tuple[str, ...]
) -> None:
    make(members, tmp_path)
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert list(read_state_dict(tmp_path)) == ["w"]

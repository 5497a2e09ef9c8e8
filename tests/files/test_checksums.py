from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint

from caten_sd import FormatError, read_state_dict, write_state_dict
from caten_sd.cli.digest import run
from caten_sd.files.checksums import compare_checksums
from caten_sd.formats.torch.dcp_metadata import read_dcp_metadata
from caten_sd.state.source import open_file

W = np.arange(4096, dtype="f4")


def written(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    if name == "torch.pt":
        torch.save({"w": torch.from_numpy(W)}, path)
    elif name == "torch.dcp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is one process
            torch.distributed.checkpoint.save(
                {"w": torch.from_numpy(W), "note": "a value"}, checkpoint_id=path, no_dist=True
            )
    elif name == "packed.npz":
        np.savez_compressed(path, w=W)
    elif name == "a.zip":
        write_state_dict({"w": W}, tmp_path / "w.safetensors")
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "w.safetensors", "w.safetensors")
    else:
        end = "/" * name.endswith("/")
        write_state_dict({"w": W}, f"{path}{end}")
    return path


def flip(path: Path) -> None:
    """Change one bit in the middle of the data."""
    path = path / "__0_0.distcp" if path.is_dir() else path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    ["torch.pt", "ours.pt", "ours.npz", "packed.npz", "a.zip", "torch.dcp", "ours.dcp/"],
)
def test_each_member_is_compared_with_its_checksum(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, name)
    assert compare_checksums(path) >= 1
    assert run([str(path), "--check"]) == 0
    flip(path)
    with pytest.raises(FormatError, match=r"checksum|inflate"):
        compare_checksums(path)
    with pytest.raises(FormatError, match=r"checksum|inflate"):
        run([str(path), "--check"])
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("name", ["w.safetensors", "w.gguf", "w.msgpack", "f.npy/"])
def test_what_has_no_checksums_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match=r"no checksums .*; compare its digest"):
        compare_checksums(written(tmp_path, name))


def test_every_record_of_a_distributed_checkpoint_is_compared(tmp_path: Path) -> None:
    """The one of a value that is not a tensor too: each has a pickle, and most have more."""
    path = written(tmp_path, "torch.dcp")
    records = read_dcp_metadata(open_file(path / ".metadata")).records
    assert len(records) == 2
    for record in records:
        file = path / record.path
        data = file.read_bytes()
        at = data.index(b"data.pkl", record.offset) + 100
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(FormatError, match=rf"{record.path} at {record.offset}"):
            compare_checksums(path)
        file.write_bytes(data)
    assert compare_checksums(path) > len(records)


def test_a_load_does_not_compute_the_checksum_of_a_torch_storage(tmp_path: Path) -> None:
    path = written(tmp_path, "torch.pt")
    flip(path)
    assert (read_state_dict(path)["w"].numpy() != W).sum() == 1
